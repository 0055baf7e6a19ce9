"""Lessons as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.ledger.codec import from_json, to_json
from orchestrator.ledger.columns import Row
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.rows import from_us, to_us
from orchestrator.ledger.validation import check_text

_SELECT = "SELECT seq, tenant, kind, task_id, step, subject, body, at_us FROM lessons"
OF_TENANT = f"{_SELECT} WHERE tenant = ? AND seq > ? AND kind <> 'choice' ORDER BY seq LIMIT ?"
OF_TASK = f"{_SELECT} WHERE task_id = ? ORDER BY seq"
TENANTS = "SELECT DISTINCT tenant FROM lessons ORDER BY tenant"
INSERT = (
    "INSERT INTO lessons (tenant, kind, task_id, step, subject, body, at_us)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def check_lessons(lessons: Iterable[Lesson]) -> None:
    """Refuse what no store can hold.

    Raises:
        ValueError: If a text is no Unicode, or a time has no zone.
        TypeError: If a body is no plain data.
    """
    for lesson in lessons:
        check_text(
            tenant=lesson.tenant,
            task_id=lesson.task_id,
            step=lesson.step,
            subject=lesson.subject,
            body=to_json(lesson.body),
        )
        to_us(lesson.at)


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
    )
