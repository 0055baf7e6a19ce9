"""Whose task it is: an owner that was taken over, or that has returned, writes nothing more."""

from __future__ import annotations

from orchestrator.core.errors import Fenced, TaskNotFound
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.stores.rows import TaskState


def check_owner(unit: UnitOfWork, task_id: str, epoch: int) -> TaskState:
    """Return how the task stands, if this owner may still write for it.

    Raises:
        Fenced: If the epoch is no longer the task's, or its run has returned.
        TaskNotFound: If there is no such task.
    """
    state = state_of(unit, task_id)
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


def state_of(unit: UnitOfWork, task_id: str) -> TaskState:
    """Return how the task stands.

    Raises:
        TaskNotFound: If there is no such task.
    """
    state = unit.task(task_id)
    if state is None:
        raise not_found(task_id)
    return state


def not_found(task_id: str) -> TaskNotFound:
    """Return the error to raise for a task that is not there."""
    return TaskNotFound(f"the ledger has no task {task_id}; check the id and the store's URL")
