"""Tasks and their attempts, from the ledger and nothing else."""

from __future__ import annotations

from orchestrator.core.errors import TaskNotFound
from orchestrator.core.events import TaskStatus
from orchestrator.core.money import Money
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.records import TaskRecord
from orchestrator.ledger.stores.reading import LedgerReader, Spending


def list_tasks(
    store: str,
    *,
    status: TaskStatus | None = None,
    team: str | None = None,
    agent: str | None = None,
    limit: int = 100,
) -> list[tuple[TaskRecord, Money]]:
    """The newest tasks, each with what it has cost, the tasks inside it included.

    Raises:
        LedgerUnavailable: If there is no ledger to read.
    """
    with reader_from_url(store) as reader:
        records = reader.tasks(status=status, team=team, agent=agent, limit=limit)
        return [(record, _cost(reader, record)) for record in records]


def show_task(store: str, task_id: str) -> tuple[TaskRecord, list[Spending]]:
    """A task and its attempts in order, those of the tasks inside it included.

    Raises:
        TaskNotFound: If the ledger knows no such task.
        LedgerUnavailable: If there is no ledger to read.
    """
    with reader_from_url(store) as reader:
        return find_task(reader, task_id), reader.attempts_of(task_id)


def find_task(reader: LedgerReader, task_id: str) -> TaskRecord:
    """A task, as the ledger has it now.

    Raises:
        TaskNotFound: If the ledger knows no such task.
    """
    record = reader.task(task_id)
    if record is None:
        message = f"The ledger knows no task {task_id!r}: see `orchestrator task list`."
        raise TaskNotFound(message)
    return record


def _cost(reader: LedgerReader, record: TaskRecord) -> Money:
    attempts = reader.attempts_of(record.opening.scope.task_id)
    return sum((attempt.cost for attempt in attempts), Money.ZERO)
