"""The bookkeeping: what each operation decides and writes, whatever the store.

Every function decides before it writes: one that raises has written nothing, so the other
operations of its transaction are unaffected.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.core.errors import Fenced, TaskExists, TaskNotFound
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.records import (
    WITHDRAWN,
    Account,
    AlreadyEnded,
    AttemptEnd,
    AttemptIntent,
    BudgetShort,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
    TaskRecord,
    TaskSignalled,
)
from orchestrator.ledger.rows import (
    AccountRow,
    Body,
    BodyKind,
    Hold,
    Reply,
    TaskState,
    from_us,
    to_us,
)
from orchestrator.ledger.rules import judge
from orchestrator.ledger.unit import UnitOfWork
from orchestrator.ledger.validation import check_amount

FIRST_EPOCH = 1
KEPT_AFTER_HALT = timedelta(days=30)
"""How long a task that may yet be resumed keeps its bodies, and a completed one its output."""

_JOURNAL: tuple[BodyKind, ...] = ("input", "reply")
_ALL_BODIES: tuple[BodyKind, ...] = ("input", "reply", "output")


def open_task(unit: UnitOfWork, opening: TaskOpening) -> int:
    """Record a new task as running; inside a task that was asked to stop, it is asked to as well.

    Raises:
        TaskExists: If the id is taken.
    """
    scope = opening.scope
    if unit.task(scope.task_id) is not None:
        message = f"there is a task {scope.task_id} already; resume it, or choose another task_id"
        raise TaskExists(message)
    around = [unit.task(ancestor) for ancestor in scope.ancestors]
    signal = next((task.signal for task in around if task is not None and task.signal), None)
    state = TaskState(FIRST_EPOCH, "running", signal)
    store = unit.flushed()
    store.insert_task(opening, state)
    unit.set_task(scope.task_id, state)
    store.insert_body(Body(scope.task_id, "input", opening.input_type, opening.input_body, None))
    return FIRST_EPOCH


def reserve(
    unit: UnitOfWork,
    intent: AttemptIntent,
    demands: Sequence[Demand],
    must_queue: Callable[[str], bool],
    now: datetime,
) -> str | None:
    """Hold the reserve on every account of the path, or on none.

    Args:
        unit: The unit of work.
        intent: The attempt.
        demands: What it asks of each account of its path.
        must_queue: Whether somebody who came earlier waits at the account with this key.
        now: The time: a hold lives from here on, however long it was waited for.

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
    # Two budgets may count on the same account: the attempt still holds it once.
    path: dict[str, tuple[Account, AccountRow]] = {}
    for demand in demands:
        row = unit.account(demand.account)
        verdict = judge(need, row, demand)
        waits = verdict == "wait" or must_queue(row.key)
        if verdict == "refuse" or (waits and not demand.may_wait):
            raise BudgetShort(demand, row.balance())
        wait_at = wait_at or (row.key if waits else None)
        path[row.key] = (demand.account, row)
    if wait_at is not None:
        return wait_at
    rows = [unit.open_account(account, row) for account, row in path.values()]
    unit.add_intent(intent, rows, expires_at=now + (intent.expires_at - intent.at))
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


def hit(
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
    _check_owner(unit, intent.task_id, intent.epoch)
    unit.add_intent(intent, (), expires_at=intent.expires_at)
    end(unit, ended, keep)
    if decision is not None:
        unit.add_decision(decision)


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


def take_over(
    unit: UnitOfWork,
    task_id: str,
    *,
    owner: str,
    now: datetime,
    add_budget: Money,
    extend: Mapping[str, float],
) -> TaskRecord:
    """Give a task and all that runs inside it a new epoch, and expire what the old one left open.

    A completed task is left as it is: to run it again would pay again, its journal being gone.

    Args:
        unit: The unit of work.
        task_id: The task.
        owner: Who runs it now.
        now: The time.
        add_budget: What its budget grows by.
        extend: What its limits grow by, by name.

    Raises:
        TaskNotFound: If there is no such task.
        ValueError: If the budget grows out of measure.
    """
    store = unit.flushed()
    record = store.task(task_id)
    if record is None:
        raise _not_found(task_id)
    if record.status == "completed":
        return record
    added_budget = record.added_budget + add_budget
    check_amount("add_budget, with that of earlier resumes,", added_budget)
    inside = store.descendants(task_id)
    expire(unit, store.holds([task_id, *inside]), now)
    for child_id in inside:
        child = store.task(child_id)
        if child is not None and child.status != "completed":
            fenced = replace(child, epoch=child.epoch + 1)
            _update(unit, fenced, _state(unit, child_id).signal)
    limits = record.extensions.keys() | extend.keys()
    taken = replace(
        record,
        added_budget=added_budget,
        extensions={
            name: record.extensions.get(name, 0) + extend.get(name, 0) for name in sorted(limits)
        },
        opening=replace(record.opening, owner=owner),
        status="running",
        epoch=record.epoch + 1,
        halt=None,
        error=None,
        updated_at=now,
    )
    _update(unit, taken, None)
    store.retain_bodies([task_id], _ALL_BODIES, None)
    return taken


def close_task(unit: UnitOfWork, closing: TaskClosing, keep: timedelta | None) -> None:
    """Record how a run returned, and give its bodies the time they have left.

    Args:
        unit: The unit of work.
        closing: How it returned.
        keep: How long bodies outlive the completion of their task; ``None``: not at all.

    Raises:
        Fenced: If the epoch is no longer the task's, or its run has returned before.
        TaskNotFound: If there is no such task.
    """
    task_id = closing.task_id
    _check_owner(unit, task_id, closing.epoch)
    store = unit.flushed()
    record = store.task(task_id)
    if record is None:
        raise _not_found(task_id)
    closed = replace(
        record,
        status=closing.status,
        running_s=record.running_s + closing.running_s,
        halt=closing.halt,
        error=closing.error,
        updated_at=closing.at,
    )
    _update(unit, closed, None)
    if closing.output is not None:
        encoding, body = closing.output
        store.insert_body(Body(task_id, "output", encoding, body, None))
    if closing.status == "completed":
        whole = [task_id, *store.descendants(task_id)]
        if keep is None:
            store.delete_bodies(whole, _JOURNAL)
        else:
            store.retain_bodies(whole, _JOURNAL, to_us(closing.at + keep))
        kinds: tuple[BodyKind, ...] = ("output",)
    else:
        kinds = _ALL_BODIES
    until = closing.at + max(KEPT_AFTER_HALT, keep or KEPT_AFTER_HALT)
    store.retain_bodies([task_id], kinds, to_us(until))
    store.purge_bodies(to_us(closing.at))


def signal(unit: UnitOfWork, task_id: str, reason: HaltReason) -> None:
    """Ask a task and all that runs inside it to stop. One that does not run stays as it is.

    Raises:
        TaskNotFound: If there is no such task.
    """
    if unit.task(task_id) is None:
        raise _not_found(task_id)
    store = unit.flushed()
    for each in (task_id, *store.descendants(task_id)):
        record = store.task(each)
        if record is not None and record.status == "running":
            _update(unit, record, reason)


def purge(unit: UnitOfWork, now: datetime) -> None:
    """Remove the bodies whose time has come, and those of tasks that died without a halt."""
    store = unit.flushed()
    abandoned = store.abandoned(to_us(now - KEPT_AFTER_HALT))
    store.delete_bodies(abandoned, _ALL_BODIES)
    store.purge_bodies(to_us(now))


def _admit(unit: UnitOfWork, intent: AttemptIntent) -> None:
    state = _check_owner(unit, intent.task_id, intent.epoch)
    if state.signal is not None:
        raise TaskSignalled(state.signal)
    if unit.hold(intent.attempt_id) is not None:
        message = f"attempt {intent.attempt_id} was reserved before; give each attempt a new id"
        raise ValueError(message)


def _check_owner(unit: UnitOfWork, task_id: str, epoch: int) -> TaskState:
    state = _state(unit, task_id)
    if state.epoch != epoch:
        message = (
            f"task {task_id} was taken over (epoch {state.epoch}, not {epoch}): "
            "this owner may no longer write for it"
        )
        raise Fenced(message)
    if state.status != "running":
        message = f"the run of task {task_id} has returned ({state.status}); resume it first"
        raise Fenced(message)
    return state


def _state(unit: UnitOfWork, task_id: str) -> TaskState:
    state = unit.task(task_id)
    if state is None:
        raise _not_found(task_id)
    return state


def _not_found(task_id: str) -> TaskNotFound:
    return TaskNotFound(f"the ledger has no task {task_id}; check the id and the store's URL")


def _update(unit: UnitOfWork, record: TaskRecord, reason: HaltReason | None) -> None:
    task_id = record.opening.scope.task_id
    unit.flushed().update_task(record, reason)
    unit.set_task(task_id, TaskState(record.epoch, record.status, reason))
    unit.stopped.add(task_id)


def _journaled(
    unit: UnitOfWork, hold: Hold, ended: AttemptEnd, keep: timedelta | None
) -> Reply | None:
    """The reply, to be kept as long as its task may need it; it may come after the run returned."""
    if ended.reply is None:
        return None
    status = _state(unit, hold.task_id).status
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
