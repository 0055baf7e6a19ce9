"""What begins, takes over, stops and closes tasks, whatever the store; and what of them is kept.

Every function decides before it writes: one that raises has written nothing, so the other
operations of its transaction are unaffected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.core.errors import TaskExists
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.bookkeeping.book import KEPT_AFTER_HALT, expire
from orchestrator.ledger.bookkeeping.ownership import check_owner, not_found, state_of
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.records import TaskClosing, TaskOpening, TaskRecord
from orchestrator.ledger.stores.rows import Body, BodyKind, TaskState, to_us
from orchestrator.ledger.validation import check_amount

FIRST_EPOCH = 1

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
        raise not_found(task_id)
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
            _update(unit, fenced, state_of(unit, child_id).signal)
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
    store = unit.flushed()
    record = store.task(task_id)
    if record is None:
        raise not_found(task_id)
    check_owner(unit, task_id, closing.epoch)
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
        raise not_found(task_id)
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


def _update(unit: UnitOfWork, record: TaskRecord, reason: HaltReason | None) -> None:
    task_id = record.opening.scope.task_id
    unit.flushed().update_task(record, reason)
    unit.set_task(task_id, TaskState(record.epoch, record.status, reason))
    unit.stopped.add(task_id)
