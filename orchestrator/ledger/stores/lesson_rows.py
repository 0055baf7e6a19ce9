"""Lessons as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.ledger.codec import from_json, to_json
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.stores.columns import Row
from orchestrator.ledger.stores.rows import from_us, to_us

_SELECT = """
SELECT l.seq, l.tenant, l.kind, l.task_id, l.step, l.subject, l.body, l.at_us, w.words
FROM lessons l LEFT JOIN lesson_words w ON l.kind = 'observation' AND w.attempt_id = l.subject
"""
OF_TENANT = (
    f"{_SELECT} WHERE l.tenant = ? AND l.seq > ? AND l.kind <> 'choice' ORDER BY l.seq LIMIT ?"
)
OF_TASK = f"{_SELECT} WHERE l.task_id = ? ORDER BY l.seq"
TENANTS = "SELECT DISTINCT tenant FROM lessons ORDER BY tenant"
INSERT = (
    "INSERT INTO lessons (tenant, kind, task_id, step, subject, body, at_us)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
INSERT_WORDS = (
    "INSERT INTO lesson_words (attempt_id, task_id, words) VALUES (?, ?, ?)"
    " ON CONFLICT (attempt_id) DO UPDATE SET words = excluded.words"
)
FORGET_WORDS = "DELETE FROM lesson_words WHERE task_id = ?"


def lesson_values(lesson: Lesson) -> Row:
    """A row of ``lessons``, without its number."""
    return (
        lesson.tenant,
        lesson.kind,
        lesson.task_id,
        lesson.step,
        lesson.subject,
        to_json(lesson.body),
        to_us(lesson.at),
    )


def words_values(lessons: Iterable[Lesson]) -> list[Row]:
    """Rows of ``lesson_words``: what was asked, of those that have it."""
    return [(one.subject, one.task_id, to_json(_keys(one))) for one in lessons if one.words]


def _keys(lesson: Lesson) -> dict[str, float]:
    return {str(bucket): value for bucket, value in lesson.words.items()}


def read_lesson(row: Row) -> Lesson:
    """A lesson from its columns as :data:`OF_TENANT` selects them."""
    return Lesson(
        seq=row[0],
        tenant=row[1],
        kind=row[2],
        task_id=row[3],
        step=row[4],
        subject=row[5],
        body=from_json(row[6]),
        at=from_us(row[7]),
        words={int(bucket): value for bucket, value in from_json(row[8] or "{}").items()},
    )
