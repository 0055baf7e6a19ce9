"""What happens before a budget is used up: told once, economized, or left to what matters more.

What is spent decides (settled, and disputed), never what is held: a reserve is a worst case, most
of which comes back. The ledger says what is spent, so all processes see the same; it also keeps
which thresholds were crossed, so that each is told once, and so that one that was crossed does not
flap when money comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.budgets.rules import WHOLE, BudgetRule, Threshold
from orchestrator.budgets.windows import in_force
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.events import BudgetThresholdCrossed
from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.ledger.afterwards import Crossing
from orchestrator.ledger.records import Account
from orchestrator.runtime.run.patience import patiently

if TYPE_CHECKING:
    from orchestrator.runtime.run.places import Place
    from orchestrator.runtime.run.task_run import TaskRun

HYSTERESIS = 500
"""How far, in hundredths of a percent of the budget, spending must fall back below a threshold
before it counts as not crossed."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """A threshold that is crossed now."""

    rule: BudgetRule
    account: Account
    threshold: Threshold
    spent: Money


async def heed(run: TaskRun, place: Place, step: str) -> bool:
    """Look at the thresholds of all budgets that count the task; whether it has to economize.

    Raises:
        Halted: If it is of low priority, and a budget is left to what matters more.
        LedgerUnavailable: If what is spent cannot be read, so nothing may be.
    """
    try:
        crossed = await patiently(run, lambda: look(run), place=place)
    except LedgerUnavailable as error:
        run.break_off(error)
        raise
    if run.priority == "low":
        for one in crossed:
            if one.threshold.action == "pause-low-priority":
                raise run.refuse(_paused(one, step), place)
    return any(one.threshold.action == "economize" for one in crossed)


async def look(run: TaskRun) -> list[Crossed]:
    """Which thresholds are crossed; the first to see one tells the listeners.

    Raises:
        LedgerUnavailable: If that cannot be read.
    """
    watched = list(_watched(run, run.clock.now()))
    if not watched:
        return []
    accounts = {account.key: account for _, account, _ in watched}
    balances, known = await run.ledger.levels(tuple(accounts.values()))
    spent = {
        key: balance.settled + balance.disputed
        for key, balance in zip(accounts, balances, strict=True)
    }
    found: list[Crossed] = []
    for rule, account, threshold in watched:
        crossing = Crossing(account.key, threshold.share, rule.limit.nano)
        one = Crossed(rule, account, threshold, spent[account.key])
        if one.spent >= threshold.of(rule.limit):
            found.append(one)
            if crossing not in known and await run.ledger.cross(crossing):
                _tell(run, one)
        elif crossing in known and not _has_fallen(one):
            found.append(one)
    return found


def _has_fallen(one: Crossed) -> bool:
    return one.spent.nano * WHOLE < one.rule.limit.nano * (one.threshold.share - HYSTERESIS)


def _watched(run: TaskRun, now: datetime) -> Iterator[tuple[BudgetRule, Account, Threshold]]:
    """Each threshold once, of the task's budgets and of those around it."""
    seen: set[tuple[str, BudgetRule]] = set()
    one: TaskRun | None = run
    while one is not None:
        for rule in one.rules:
            watched = rule.watched
            found = in_force(rule, one.scope, now) if watched else None
            if found is None or (found[0].key, rule) in seen:
                continue
            account, held = found
            seen.add((account.key, rule))
            for threshold in watched:
                yield held, account, threshold
        one = one.parent


def _tell(run: TaskRun, one: Crossed) -> None:
    run.emit(
        BudgetThresholdCrossed(
            at=run.clock.now(),
            scope=run.scope,
            budget=one.account.kind,
            holder=one.account.identity,
            window=one.account.window,
            share=str(one.threshold),
            action=one.threshold.action,
            limit=one.rule.limit,
            spent=one.spent,
        )
    )


def _paused(one: Crossed, step: str) -> Halt:
    account = one.account
    if account.ends_at is None:
        until = "with more money"
    else:
        until = f"when its window ends at {account.ends_at:%Y-%m-%d %H:%M} UTC"
    return Halt(
        reason="paused",
        scope=account.kind,
        limit=one.threshold.of(one.rule.limit),
        spent=one.spent,
        step=step,
        holder=account.identity,
        detail=(
            f"{one.spent} of {one.rule.limit} is spent in the {account.kind} budget of"
            f" {account.identity}: from {one.threshold} on, tasks of low priority wait; resume"
            f" {until}."
        ),
    )
