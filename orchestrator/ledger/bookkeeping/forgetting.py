"""Erasing what a user said and was told, and nothing that was paid."""

from __future__ import annotations

from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.records import Forgotten


def forget(unit: UnitOfWork, user: str, tenant: str | None) -> Forgotten:
    """Erase the bodies of a user's tasks; the facts about money stay."""
    store = unit.flushed()
    found = store.tasks_of(user, tenant)
    tasks = tuple(task_id for task_id, _ in found)
    store.overwrite_deleted()
    store.delete_bodies(tasks, ("words",))
    return Forgotten(
        tasks=tasks,
        running=tuple(task_id for task_id, status in found if status == "running"),
        bodies=store.delete_bodies(tasks, ("input", "reply", "output")),
    )
