"""A task inside a task: where it stands in its parent, and who may go on with it."""

from __future__ import annotations

from typing import Any

from orchestrator.core.errors import ResumeError
from orchestrator.core.ids import child_task_id, new_task_id
from orchestrator.ledger.records import TaskRecord
from orchestrator.runtime.run.request import digest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.storage.bodies import pack


def place_in(parent: TaskRun, agent: str, given: Any) -> str:
    """Where in its parent a task stands: the same place, and so the same task, each time."""
    what = digest([agent, given], canonical)
    return parent.places.here().key(f"run:{agent}", what)


def task_id_in(parent: TaskRun | None, parent_key: str | None) -> str:
    """A new id; inside of a task one that the same place always gets."""
    if parent is None or parent_key is None:
        return new_task_id()
    return child_task_id(parent.scope.task_id, parent_key)


def parent_of(record: TaskRecord, around: TaskRun | None) -> TaskRun | None:
    """The run that a task is a part of: it goes on within the limits of that, or not at all."""
    ancestors = record.opening.scope.ancestors
    if not ancestors:
        return None
    if around is not None and around.scope.task_id == ancestors[-1]:
        return around
    message = (
        f"{record.opening.scope.task_id} runs inside {ancestors[0]}, whose limits bind it: resume "
        f"{ancestors[0]}, and it goes on."
    )
    raise ResumeError(message)


def canonical(value: object) -> object:
    """What JSON does not know, in a form that is the same in every process."""
    if isinstance(value, set | frozenset):
        return sorted(digest(one, canonical) for one in value)
    encoding, body = pack(value)
    return [encoding, body.hex()]
