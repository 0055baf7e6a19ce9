"""A budget as the policy states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
