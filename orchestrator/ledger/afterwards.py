"""What is noted once attempts have ended: what they cost, and which thresholds they crossed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from orchestrator.core.money import Money


class Crossing(NamedTuple):
    """That a share of a budget was spent.

    Attributes:
        account: The account's key; a new window is a new account.
        share: The share, in hundredths of a percent.
        amount: The budget's amount in nano-dollars: with more money it is crossed anew.
    """

    account: str
    share: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What an attempt in doubt really cost, once somebody knows.

    The doubt itself stays as it was written; the newest correction of an attempt stands.

    Attributes:
        attempt_id: The attempt, whose owner died.
        cost: What it cost, as the provider says; above the reserve it is an overrun.
        certainty: How sure ``cost`` is.
        source: Who says so (``usage.csv:12``, ``by hand``).
        at: When.
    """

    attempt_id: str
    cost: Money
    certainty: Literal["known", "estimated"]
    source: str
    at: datetime


class NotInDoubt(ValueError):  # noqa: N818 - names the fact
    """An attempt that is open, or whose end is sure, was to be corrected."""
