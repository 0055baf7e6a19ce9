"""The bookkeeping: what an attempt holds, and how it ends, whatever the store.

Every function decides before it writes: one that raises has written nothing, so the other
operations of its transaction are unaffected.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.core.money import Money
from orchestrator.ledger.bookkeeping.ownership import check_owner, state_of
from orchestrator.ledger.bookkeeping.rules import judge
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.records import (
    WITHDRAWN,
    Account,
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
)
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort, TaskSignalled
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.stores.rows import AccountRow, Hold, Reply, from_us, life_us, to_us

KEPT_AFTER_HALT = timedelta(days=30)
"""How long a task that may yet be resumed keeps its bodies, and a completed one its output."""


def reserve(
    unit: UnitOfWork,
    intent: AttemptIntent,
    demands: Sequence[Demand],
    must_queue: Callable[[str], bool],
    now_us: int,
) -> str | None:
    """Hold the reserve on every account of the path, or on none.

    Args:
        unit: The unit of work.
        intent: The attempt.
        demands: What it asks of each account of its path.
        must_queue: Whether somebody who came earlier waits at the account with this key.
        now_us: The time, in microseconds since 1970: a hold lives from here on, however long it
            was waited for.

    Returns:
        ``None`` if it holds now, else the key of the account to wait at.

    Raises:
        BudgetShort: If an account can never serve it.
        TaskSignalled: If the task was asked to stop.
        Fenced: If the epoch is no longer the task's, or its run has returned.
        TaskNotFound: If there is no such task.
        ValueError: If the attempt id was used before.
    """
    _admit(unit, intent)
    need = intent.reserve.nano
    wait_at: str | None = None
    held: BudgetShort | None = None
    # Two budgets may count on the same account: the attempt still holds it once.
    path: dict[str, tuple[Account, AccountRow]] = {}
    for demand in demands:
        row = unit.account(demand.account)
        verdict = judge(need, row, demand)
        # Who needs nothing takes nothing from those who wait.
        waits = verdict == "wait" or (need > 0 and must_queue(row.key))
        if verdict == "refuse":
            raise BudgetShort(demand, row.balance())
        if waits and not demand.may_wait:
            held = held or BudgetShort(demand, row.balance())
        wait_at = wait_at or (row.key if waits else None)
        path[row.key] = (demand.account, row)
    if held is not None:
        raise held  # no other is used up for good, which would be the thing to tell
    if wait_at is not None:
        return wait_at
    rows = [
        row if row.account_id else unit.open_account(account, row) for account, row in path.values()
    ]
    unit.add_intent(intent, rows, expires_at_us=now_us + life_us(intent))
    for row in rows:
        row.reserved += need
    unit.book(rows)
    return None


def end(unit: UnitOfWork, ended: AttemptEnd, keep: timedelta | None) -> None:
    """Resolve an intent: what was held is settled as far as it was used.

    Args:
        unit: The unit of work.
        ended: How the attempt ended.
        keep: How long bodies outlive the completion of their task.

    Raises:
        AlreadyEnded: If it was resolved before.
        ValueError: If there is no such attempt, or it costs more than its reserve.
    """
    hold = unit.hold(ended.attempt_id)
    if hold is None:
        message = f"attempt {ended.attempt_id} was never reserved"
        raise ValueError(message)
    if not hold.is_open:
        raise AlreadyEnded(ended.attempt_id)
    if ended.cost.nano > hold.reserve:
        message = (
            f"attempt {hold.attempt_id} reserved {Money(hold.reserve)}, so it cannot cost "
            f"{ended.cost}; book what is above as overrun"
        )
        raise ValueError(message)
    reply = _journaled(unit, hold, ended, keep)
    rows = unit.add_end(hold, ended)
    for row in rows:
        row.reserved -= hold.reserve
        row.settled += ended.cost.nano
        row.overrun += ended.overrun.nano
    unit.book(rows)
    if reply is not None:
        unit.add_reply(reply)


def free(
    unit: UnitOfWork,
    intent: AttemptIntent,
    ended: AttemptEnd,
    decision: Decision | None,
    keep: timedelta | None,
) -> None:
    """Write what costs nothing, a hit of the memo or a free tool: no account is touched.

    Raises:
        Fenced: If the epoch is no longer the task's, or its run has returned.
        TaskNotFound: If there is no such task.
        ValueError: If it would reserve or cost something.
    """
    if intent.reserve or ended.cost or ended.overrun:
        message = f"attempt {intent.attempt_id} is noted as free of charge; reserve for what costs"
        raise ValueError(message)
    check_owner(unit, intent.task_id, intent.epoch)
    unit.add_intent(intent, (), expires_at_us=to_us(intent.expires_at))
    end(unit, ended, keep)
    if decision is not None:
        unit.add_decision(decision)


def remember(unit: UnitOfWork, hit: Remembered, keep: timedelta | None) -> None:
    """Write a hit of the memo, as :func:`free` does."""
    free(unit, hit.intent(), hit.end(), hit.decision, keep)


def withdraw(unit: UnitOfWork, attempt_id: str, now: datetime) -> None:
    """Release the hold of an attempt that will not be made; without a hold, do nothing."""
    hold = unit.hold(attempt_id)
    if hold is not None and hold.is_open:
        end(unit, _end_of(hold, "released", now), keep=None)


def expire(unit: UnitOfWork, holds: Sequence[Hold], now: datetime) -> None:
    """End attempts whose owner died: what they held may have been billed, so it stays held."""
    for hold in holds:
        rows = unit.add_end(hold, _end_of(hold, "expired", now))
        for row in rows:
            row.reserved -= hold.reserve
            row.disputed += hold.reserve
        unit.book(rows)


def expire_overdue(unit: UnitOfWork, living: Container[str], now: datetime) -> int:
    """Expire what is overdue, but the attempts of ``living``; return how many."""
    overdue = unit.flushed().overdue(to_us(now))
    dead = [hold for hold in overdue if hold.attempt_id not in living]
    expire(unit, dead, now)
    return len(dead)


def _admit(unit: UnitOfWork, intent: AttemptIntent) -> None:
    state = check_owner(unit, intent.task_id, intent.epoch)
    # What was used is a fact, and has to be booked all the same.
    if state.signal is not None and intent.kind != "resource":
        raise TaskSignalled(state.signal)
    if unit.hold(intent.attempt_id) is not None:
        message = f"attempt {intent.attempt_id} was reserved before; give each attempt a new id"
        raise ValueError(message)


def _journaled(
    unit: UnitOfWork, hold: Hold, ended: AttemptEnd, keep: timedelta | None
) -> Reply | None:
    """The reply, to be kept as long as its task may need it; it may come after the run returned."""
    if ended.reply is None:
        return None
    status = state_of(unit, hold.task_id).status
    until: datetime | None = None
    if status == "completed":
        if keep is None:
            return None
        until = ended.at + keep
    elif status != "running":
        until = ended.at + KEPT_AFTER_HALT
    until_us = None if until is None else to_us(until)
    return Reply(hold.seq, ended.reply, until_us)


def _end_of(hold: Hold, kind: Literal["released", "expired"], now: datetime) -> AttemptEnd:
    return AttemptEnd(
        attempt_id=hold.attempt_id,
        end=kind,
        cost=Money(hold.reserve) if kind == "expired" else Money.ZERO,
        certainty="unknown" if kind == "expired" else "known",
        seconds=max((now - from_us(hold.at_us)).total_seconds(), 0.0),
        at=now,
        error="its owner died" if kind == "expired" else WITHDRAWN,
    )
