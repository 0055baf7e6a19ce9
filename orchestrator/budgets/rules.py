"""A budget as the policy states it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.core.money import Money
from orchestrator.core.scope import ScopeKind
from orchestrator.pricing.currency import Foreign

WindowKind = Literal["task", "hour", "day", "week", "month", "total"]
ThresholdAction = Literal["economize", "notify", "pause-low-priority", "halt", "ask"]

WHOLE = 10_000
"""All of a budget, in hundredths of a percent."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What happens once a share of a budget is spent.

    Attributes:
        share: The share in hundredths of a percent: 8000 is 80 %.
        action: ``economize``: only the cheapest model, no escalation. ``notify``: tell.
            ``pause-low-priority``: tasks of low priority halt. ``halt``: the rest is not spent.
            ``ask``: a person is asked for more.
    """

    share: int
    action: ThresholdAction

    def of(self, amount: Money) -> Money:
        """This share of ``amount``, rounded down to a nano-dollar."""
        return Money(amount.nano * self.share // WHOLE)

    def __str__(self) -> str:
        """``80%``."""
        return f"{Decimal(self.share) / 100:f}%"


@dataclass(frozen=True, slots=True)
class ForeignBudget:
    """The amounts of a budget that the policy states in another currency.

    Attributes:
        limit: The amount.
        finish_reserve: The part kept for the end; ``None``: none.
        rate_of: The day whose rate holds for every window; ``None``: the one it begins on.
    """

    limit: Foreign
    finish_reserve: Foreign | None = None
    rate_of: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRule:
    """An amount on a scope for a window.

    Attributes:
        scope: Who it is for; each holder (each user, each team) has the amount for itself.
        limit: The amount in USD; of a ``foreign`` budget what it is worth by its first rate, until
            :meth:`on` says what it is worth in a window.
        window: How long it lasts; calendar windows begin at midnight, Monday, the first. ``task``
            and ``total`` never end.
        timezone: The IANA time zone of a calendar window.
        finish_reserve: The part that only a ``finish=True`` step may draw on; task budgets only.
        at: What happens at shares of it.
        likely_finish: A step starts only if this share of the agent's completed tasks needed no
            more from there on than is left; ``None``: whatever they needed. Task budgets only.
        foreign: What the policy states in another currency; ``None``: it states USD.
    """

    scope: ScopeKind
    limit: Money
    window: WindowKind = "total"
    timezone: str = "UTC"
    finish_reserve: Money = Money.ZERO
    at: tuple[Threshold, ...] = ()
    likely_finish: float | None = None
    foreign: ForeignBudget | None = None

    @classmethod
    def stated(cls, foreign: ForeignBudget, **rule: Any) -> BudgetRule:  # noqa: ANN401 - the other fields
        """A budget in another currency."""
        limit, kept = _worth(foreign, foreign.limit.rates.dated[0].since)
        return cls(limit=limit, finish_reserve=kept, foreign=foreign, **rule)

    def on(self, day: date) -> BudgetRule:
        """This budget in USD, in a window that began on ``day``.

        Rounded down to a nano-dollar: never more may be spent than the policy states.
        """
        if self.foreign is None:
            return self
        limit, kept = _worth(self.foreign, self.foreign.rate_of or day)
        return replace(self, limit=limit, finish_reserve=kept, foreign=None)

    @property
    def serves(self) -> Money:
        """What may be spent: the limit, or the share of it at which the policy halts."""
        halts = (one.of(self.limit) for one in self.at if one.action == "halt")
        return min(halts, default=self.limit)

    @property
    def asks(self) -> bool:
        """Whether a person is asked for more when it is used up."""
        return any(one.action == "ask" for one in self.at)

    @property
    def watched(self) -> tuple[Threshold, ...]:
        """The thresholds at which something happens before the end."""
        return tuple(one for one in self.at if one.action not in ("halt", "ask"))

    def __post_init__(self) -> None:
        """Refuse a rule that cannot be meant.

        Raises:
            ValueError: If an amount is negative, the reserve is larger than the limit or on another
                scope than ``task``, the window ``task`` is on another scope, or the time zone is
                unknown.
        """
        problem = None
        if self.limit < Money.ZERO or self.finish_reserve < Money.ZERO:
            problem = "is negative; write an amount of 0 USD or more"
        elif self.finish_reserve > self.limit:
            problem = f"keeps a finish_reserve of {self.finish_reserve}; write {self.limit} or less"
        elif self.finish_reserve and self.scope != "task":
            problem = "has a finish_reserve; only the task's budget can keep one"
        elif self.window == "task" and self.scope != "task":
            problem = "has the window 'task'; write hour, day, week, month or total"
        elif self.window == "total" and self.foreign and not self.foreign.rate_of:
            problem = "never begins, so it has the rate of no day; write rate_of"
        elif not _is_timezone(self.timezone):
            problem = f"names the unknown time zone {self.timezone!r}; write 'Europe/Berlin'"
        if problem:
            message = f"The {self.scope} budget of {self.limit} {problem}."
            raise ValueError(message)


def _worth(foreign: ForeignBudget, day: date) -> tuple[Money, Money]:
    """The limit and what is kept of it for the end, by the rate of a day."""
    limit = Money.from_usd_rounded_down(foreign.limit.on(day))
    kept = foreign.finish_reserve
    return limit, Money.ZERO if kept is None else Money.from_usd_rounded_down(kept.on(day))


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # ValueError: no proper key ("../x"); OSError: a directory of zones ("Europe").
        return False
    return True
