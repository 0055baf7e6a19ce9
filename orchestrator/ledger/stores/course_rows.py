# ruff: noqa: S608 - every part of a statement is a constant of this file
"""The rows of how tasks went, and what they say."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.core.scope import Scope
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.stores.columns import Row

_COMPLETED = """
    FROM task_holders h JOIN tasks t ON t.task_id = h.task_id
    WHERE h.kind = 'agent' AND h.identity = ? AND t.tenant = ? AND t.status = 'completed'
    AND t.task_id NOT IN (SELECT u.task_id FROM task_holders u WHERE u.kind = 'upkeep')
    ORDER BY t.at_us DESC, t.task_id DESC LIMIT ?
"""
"""The newest completed tasks like one, by `like`.

What is asked beside tasks, for audits and a memo's upkeep, is no task of the agent's own.
"""
COURSES = f"""
SELECT done.task_id, r.task_id = done.task_id, r.step, r.kind, r.key, r.model, r.reserve,
    r.cost + r.overrun, r.seconds
FROM (SELECT t.task_id {_COMPLETED}) done
JOIN task_holders inside ON inside.kind = 'task' AND inside.identity = done.task_id
JOIN attempt_records r ON r.task_id = inside.task_id
WHERE r.cost IS NOT NULL
ORDER BY r.seq, done.task_id
"""
"""The attempts of such tasks, in their order.

An attempt of a task that runs inside another one of the same agent is in the course of both.
"""
RESTS = f"""
SELECT sum(r.cost + r.overrun) FROM (
    SELECT t.task_id, (SELECT min(f.seq) FROM attempts f
        WHERE f.task_id = t.task_id AND f.step = ?) AS first
    {_COMPLETED}
) done
JOIN task_holders inside ON inside.kind = 'task' AND inside.identity = done.task_id
JOIN attempt_records r ON r.task_id = inside.task_id AND r.seq >= done.first
GROUP BY done.task_id
"""
"""What such tasks cost from their first ask of a step on."""


def like(scope: Scope, limit: int) -> Row:
    """Which tasks are like one: of the same agent and tenant; and how many of them."""
    return scope.identity("agent"), scope.tenant, limit


def read_courses(rows: Iterable[Row]) -> list[Spent]:
    """What `COURSES` found."""
    return [Spent(task_id, bool(own), *rest) for task_id, own, *rest in rows]
