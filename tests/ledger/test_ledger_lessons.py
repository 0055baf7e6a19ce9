"""What routing learns from, on every backend."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.lessons import Lesson

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def lesson(subject, *, tenant="research", kind="observation", **body):
    return Lesson(
        tenant=tenant,
        kind=kind,
        task_id="task-1",
        step="plan",
        subject=subject,
        body={"signals": [0.5, 1.0], **body},
        at=NOON,
    )


async def test_a_tenant_reads_its_own_lessons_in_order_from_where_it_left_off(bank):
    bank.ledger.note([lesson("a"), lesson("b", tenant="other")])
    await bank.ledger.teach([lesson("a", kind="outcome", score=1.0), lesson("k", kind="choice")])

    found = await bank.ledger.lessons("research")

    assert [(one.kind, one.subject) for one in found] == [("observation", "a"), ("outcome", "a")]
    assert found[0].body == {"signals": [0.5, 1.0]}
    assert found[0].at == NOON
    assert await bank.ledger.lessons("research", after=found[0].seq) == [found[1]]
    assert await bank.ledger.lessons("research", limit=1) == [found[0]]
    assert [one.subject for one in await bank.ledger.lessons("other")] == ["b"]


async def test_what_was_asked_is_read_with_an_observation_and_goes_with_its_user(bank):
    await bank.open_task("task-1")
    user = (await bank.ledger.task("task-1")).opening.scope.user
    await bank.ledger.teach([replace(lesson("a"), words={7: 0.5, 300: -0.25}), lesson("b")])
    await bank.ledger.teach([lesson("a", kind="outcome", score=1.0)])

    found = await bank.ledger.lessons("research")
    assert [one.words for one in found] == [{7: 0.5, 300: -0.25}, {}, {}]
    assert "words" not in found[0].body

    await bank.ledger.teach([replace(lesson("a"), words={7: 1.0})])
    assert (await bank.ledger.lessons("research"))[0].words == {7: 1.0}, "noted once more"

    await bank.ledger.forget(user)
    left = await bank.ledger.lessons("research")
    assert [one.words for one in left] == [{}] * 4
    assert [one.body for one in left[:3]] == [one.body for one in found], "facts stay"


async def test_what_cannot_be_stored_is_its_callers_error_and_nobody_elses(bank):
    with pytest.raises(ValueError, match="no Unicode"):
        await bank.ledger.teach([lesson("a"), lesson("\ud800")])
    assert await bank.ledger.lessons("research") == []


async def test_a_reader_beside_the_writers_finds_them(sqlite_bank, ledger_path):
    await sqlite_bank.ledger.teach([lesson("a"), lesson("k", kind="choice")])
    with reader_from_url(f"sqlite:///{ledger_path}") as reader:
        assert [one.subject for one in reader.lessons("research")] == ["a"]
        assert [one.subject for one in reader.lessons_of("task-1")] == ["a", "k"]
        assert reader.taught() == ["research"]


async def test_a_lesson_is_never_taken_back(sqlite_bank, ledger_path):
    await sqlite_bank.ledger.teach([lesson("a")])
    with closing(sqlite3.connect(ledger_path)) as outside:
        for change in ("DELETE FROM lessons", "UPDATE lessons SET body = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                outside.execute(change)
