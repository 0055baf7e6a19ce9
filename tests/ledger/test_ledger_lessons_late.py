"""A lesson that is committed late is not skipped by who has read on, on PostgreSQL."""

import asyncio
from datetime import UTC, datetime

import pytest

from orchestrator.ledger.lessons import Lesson

psycopg = pytest.importorskip("psycopg")
postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
connection = pytest.importorskip("orchestrator.ledger.stores.postgres_connection")
postgres_sql = pytest.importorskip("orchestrator.ledger.stores.postgres_sql")
lesson_rows = pytest.importorskip("orchestrator.ledger.stores.lesson_rows")


def lesson(subject):
    return Lesson(
        tenant="research",
        kind="outcome",
        task_id="t",
        step="s",
        subject=subject,
        body={"score": 1.0},
        at=datetime(2026, 11, 23, tzinfo=UTC),
    )


async def heard(bank, read_to):
    """Read on from where one left off, as a process does that learns."""
    found = await bank.ledger.lessons("research", after=read_to)
    return [one.subject for one in found], max((one.seq for one in found), default=read_to)


async def test_whoever_has_read_on_misses_no_lesson_of_a_transaction_that_was_open(
    postgres_url, open_bank
):
    """Numbers are given when a lesson is written; what counts is that the next waits with its own.

    A writer that has its number and not yet committed holds the ledger's lock, so that nobody can
    commit a larger one before it.
    """
    quick, reader = [
        await open_bank(postgres.PostgresStore(postgres_url, server_clock=False)) for _ in range(2)
    ]
    await quick.ledger.teach([lesson("first")])
    subjects, read_to = await heard(reader, 0)
    assert subjects == ["first"]

    place = connection.place_from_url(postgres_url)
    with connection.connect(place) as slow:
        slow.execute("BEGIN")
        slow.execute(postgres_sql.LOCK, (place.lock,))
        slow.execute(
            postgres_sql.translated(lesson_rows.INSERT), lesson_rows.lesson_values(lesson("slow"))
        )
        quicker = asyncio.create_task(quick.ledger.teach([lesson("quick")]))
        while not waits_for_a_lock(postgres_url):
            assert not quicker.done(), "it was committed with a larger number than the open one"
            await asyncio.sleep(0.01)
        subjects, read_to = await heard(reader, read_to)
        assert subjects == []
        slow.execute("COMMIT")
    await quicker
    subjects, _ = await heard(reader, read_to)
    assert subjects == ["slow", "quick"]


def waits_for_a_lock(url):
    with connection.connect(connection.place_from_url(url)) as db:
        row = db.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchone()
    return row[0] > 0
