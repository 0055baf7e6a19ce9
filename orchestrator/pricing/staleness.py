"""Prices that nobody has looked at for long: how old one is, and when that is too old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from orchestrator.pricing.currency import day_of
from orchestrator.pricing.price import OWN
from orchestrator.pricing.quote import Quote

WhenStale = Literal["refuse", "estimate", "warn"]

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class StalePrice:
    """How old a price may be, and what becomes of one that is older.

    Attributes:
        after_s: Its age in seconds from which on it is stale.
        then: ``refuse``: the model is not asked. ``estimate``: its costs are estimates. ``warn``:
            nothing but that ``doctor`` and ``prices`` say so.
        checked: The day on which somebody last compared the price lists with what providers
            publish; ``None``: they are as old as the files they were read from.
    """

    after_s: float
    then: WhenStale = "warn"
    checked: date | None = None

    def checked_on(self, quote: Quote) -> date | None:
        """When a price was last looked at; ``None`` if nobody says."""
        own = quote.source.startswith(OWN)
        return quote.price.checked if own else self.checked or quote.price.checked

    def age_days(self, quote: Quote, now: datetime) -> int | None:
        """Days since a price was last looked at; ``None`` if nobody says when."""
        checked = self.checked_on(quote)
        return None if checked is None else (day_of(now) - checked).days

    def is_stale(self, quote: Quote, now: datetime) -> bool:
        """Whether a price is too old; one of the policy's own that has no date never is."""
        age = self.age_days(quote, now)
        return age is not None and age * SECONDS_PER_DAY > self.after_s

    def advice(self, quote: Quote, now: datetime) -> str:
        """What to do about a price that is stale."""
        if quote.source.startswith(OWN):
            return f"look it up, and write `checked: {day_of(now)}` in `price:`"
        package = quote.source.partition(" ")[0]
        return (
            f"update the list (`pip install --upgrade {package}`), see what changed"
            f" (`orchestrator prices diff`), and write `checked: {day_of(now)}` in `stale_price:`"
        )
