"""The rows of how tasks went, and what they say."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.ledger.courses import Spent
from orchestrator.ledger.stores.columns import Row

COURSES = """
SELECT done.task_id, r.task_id = done.task_id, r.step, r.kind, r.key, r.model, r.reserve,
    r.cost + r.overrun, r.seconds
FROM (
    SELECT t.task_id FROM task_holders h JOIN tasks t ON t.task_id = h.task_id
    WHERE h.kind = 'agent' AND h.identity = ? AND t.status = 'completed'
    AND t.task_id NOT IN (SELECT u.task_id FROM task_holders u WHERE u.kind = 'upkeep')
    ORDER BY t.at_us DESC, t.task_id DESC LIMIT ?
) done
JOIN task_holders inside ON inside.kind = 'task' AND inside.identity = done.task_id
JOIN attempt_records r ON r.task_id = inside.task_id
WHERE r.cost IS NOT NULL
ORDER BY r.seq, done.task_id
"""
"""The attempts of the newest completed tasks of an agent, and how many tasks; in their order.

An attempt of a task that runs inside another one of the same agent is in the course of both.

What is asked beside tasks, for audits and a memo's upkeep, is no task of the agent's own.
"""


def read_courses(rows: Iterable[Row]) -> list[Spent]:
    """What `COURSES` found."""
    return [Spent(task_id, bool(own), *rest) for task_id, own, *rest in rows]
