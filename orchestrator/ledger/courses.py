"""How tasks went: which attempts they made, in their order, and what each took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from orchestrator.ledger.columns import Row
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, AttemptKind


class Spent(NamedTuple):
    """One attempt of a task that completed, or of a task inside it.

    Attributes:
        task_id: The outer task.
        is_own: Whether it is the outer task's own.
        step: The step that asked.
        kind: What it was for.
        key: The journal key: all attempts of one ask share it.
        model: The model's name in the policy, or the tool's.
        reserve: The worst case that was reserved for it, in nano-dollars.
        cost: What it cost, in nano-dollars.
        seconds: How long it took.
    """

    task_id: str
    is_own: bool
    step: str
    kind: AttemptKind
    key: str
    model: str
    reserve: int
    cost: int
    seconds: float

    @classmethod
    def of(cls, task_id: str, intent: AttemptIntent, end: AttemptEnd) -> Spent:
        """What an attempt in the course of a task took."""
        return cls(
            task_id=task_id,
            is_own=intent.task_id == task_id,
            step=intent.step,
            kind=intent.kind,
            key=intent.key,
            model=intent.model,
            reserve=intent.reserve.nano,
            cost=(end.cost + end.overrun).nano,
            seconds=end.seconds,
        )


COURSES = """
SELECT done.task_id, r.task_id = done.task_id, r.step, r.kind, r.key, r.model, r.reserve,
    r.cost + r.overrun, r.seconds
FROM (
    SELECT t.task_id FROM task_holders h JOIN tasks t ON t.task_id = h.task_id
    WHERE h.kind = 'agent' AND h.identity = ? AND t.status = 'completed'
    ORDER BY t.at_us DESC, t.task_id DESC LIMIT ?
) done
JOIN task_holders inside ON inside.kind = 'task' AND inside.identity = done.task_id
JOIN attempt_records r ON r.task_id = inside.task_id
WHERE r.cost IS NOT NULL
ORDER BY r.seq
"""
"""The attempts of the newest completed tasks of an agent, and how many tasks; in their order."""


def read_courses(rows: Iterable[Row]) -> list[Spent]:
    """What `COURSES` found."""
    return [Spent(task_id, bool(own), *rest) for task_id, own, *rest in rows]
