"""A budget as the policy states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.core.money import Money
from orchestrator.core.scope import ScopeKind

WindowKind = Literal["task", "hour", "day", "week", "month", "total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRule:
    """An amount on a scope for a window.

    Attributes:
        scope: Who it is for; each holder (each user, each team) has the amount for itself.
        limit: The amount.
        window: How long it lasts; calendar windows begin at midnight, Monday, the first. ``task``
            and ``total`` never end.
        timezone: The IANA time zone of a calendar window.
        finish_reserve: The part that only a ``finish=True`` step may draw on; task budgets only.
    """

    scope: ScopeKind
    limit: Money
    window: WindowKind = "total"
    timezone: str = "UTC"
    finish_reserve: Money = Money.ZERO

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
        elif not _is_timezone(self.timezone):
            problem = f"names the unknown time zone {self.timezone!r}; write 'Europe/Berlin'"
        if problem:
            message = f"The {self.scope} budget of {self.limit} {problem}."
            raise ValueError(message)


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # ValueError: no proper key ("../x"); OSError: a directory of zones ("Europe").
        return False
    return True
