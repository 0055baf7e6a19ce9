"""What holds for single tools, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from fnmatch import fnmatchcase

from orchestrator.core.money import Money
from orchestrator.pricing.currency import Foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """One entry of ``tools:``; ``None`` where it says nothing.

    Attributes:
        price: What one call costs.
        timeout_s: Seconds one call may take.
        limit: Calls in one task.
        journal: Whether a result is kept, so that a resume does not call again.
    """

    price: Money | Foreign | None = None
    timeout_s: float | None = None
    limit: int | None = None
    journal: bool | None = None

    def over(self, lower: ToolSettings) -> ToolSettings:
        """These settings, and those of ``lower`` where these say nothing."""
        return ToolSettings(
            **{
                one.name: getattr(lower, one.name) if own is None else own
                for one in fields(self)
                for own in [getattr(self, one.name)]
            }
        )

    def cost(self, day: date) -> Money:
        """What one call on ``day`` costs, rounded upward."""
        if isinstance(self.price, Foreign):
            return Money.from_usd_rounded_up(self.price.on(day))
        return self.price or Money.ZERO

    def source(self, day: date) -> str:
        """Where the price in a policy comes from."""
        rate = f" ({self.price.rates.on(day)})" if isinstance(self.price, Foreign) else ""
        return f"policy{rate}"

    @property
    def needs_governing(self) -> bool:
        """Whether it asks for more than counting, which needs no hand on the call itself."""
        return bool(self.price or self.journal or self.timeout_s)


_NOTHING = ToolSettings()


@dataclass(frozen=True, slots=True)
class ToolTable:
    """Settings by name; a name may hold ``*`` for any text."""

    tools: Mapping[str, ToolSettings] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ToolSettings:
        """The settings of the tool ``name``."""
        found = entry_of(name, self.tools)
        return _NOTHING if found is None else self.tools[found]


def entry_of(name: str, entries: Iterable[str]) -> str | None:
    """The entry that speaks for ``name``: itself, else the longest one with ``*`` that fits."""
    fitting = [one for one in entries if one == name or fnmatchcase(name, one)]
    return max(fitting, key=lambda one: (one == name, len(one), one), default=None)
