"""A suite from a team's own ledger: tasks that somebody called right, with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.bench.suite import Sample
from orchestrator.core.clock import SystemClock
from orchestrator.core.redaction import mask
from orchestrator.ledger.factory import ledger_from_url, reader_from_url
from orchestrator.ledger.records import TaskRecord
from orchestrator.runtime.storage.bodies import unpack

_RIGHT = 1.0
Why = Literal["no outcome", "not right", "no bodies", "no such field", "holds a secret"]
"""Why a completed task is no sample."""


@dataclass(frozen=True, slots=True)
class Made:
    """A suite, and how many tasks could not be used, by reason."""

    samples: tuple[Sample, ...]
    left_out: Mapping[Why, int]


async def suite_from_ledger(
    store: str, *, team: str, question_field: str, answer_field: str, limit: int
) -> Made:
    """Read completed tasks whose outcome a user gave as fully right.

    Args:
        store: The ledger. Prompts and replies must have been kept (``keep_bodies``).
        team: Only this team's tasks: a suite must not carry them from one team to another.
        question_field: Where in the input the question stands.
        answer_field: Where in the output the answer stands.
        limit: Look at so many of the newest tasks.

    Raises:
        LedgerUnavailable: If there is no ledger to read.
    """
    with reader_from_url(store) as reader:
        tasks = [
            (record.opening.scope.task_id, record.opening.scope.agent)
            for record in reader.tasks(status="completed", team=team, limit=limit)
        ]
        scores = {
            task: [
                float(lesson.body["score"])
                for lesson in reader.lessons_of(task)
                if lesson.kind == "outcome" and lesson.body.get("source") == "user"
            ]
            for task, _ in tasks
        }
    samples: list[Sample] = []
    left_out: Counter[Why] = Counter()
    ledger = ledger_from_url(store, clock=SystemClock())
    await ledger.open()
    try:
        for task, agent in tasks:
            if not scores[task] or scores[task][-1] < _RIGHT:
                left_out["no outcome" if not scores[task] else "not right"] += 1
                continue
            record = await ledger.task(task)
            found = _texts(record, question_field, answer_field)
            if isinstance(found, tuple):
                samples.append(Sample(task, *found, group=agent))
            else:
                left_out[found] += 1
    finally:
        await ledger.aclose()
    return Made(tuple(samples), left_out)


def _texts(
    record: TaskRecord | None, question_field: str, answer_field: str
) -> tuple[str, str] | Why:
    if record is None or record.output is None or not record.opening.input_body:
        return "no bodies"
    given = unpack((record.opening.input_type, record.opening.input_body))
    asked, answered = _field(given, question_field), _field(unpack(record.output), answer_field)
    if not asked or not answered:
        return "no such field"
    if mask(asked) != asked or mask(answered) != answered:
        return "holds a secret"
    return asked, answered


def _field(value: object, name: str) -> str:
    found: Any = value.get(name) if isinstance(value, Mapping) else None
    return "" if found is None else str(found).strip()
