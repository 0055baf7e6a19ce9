"""The measurements of the ledger measure what they say."""

import asyncio

import pytest

from orchestrator.bench.ledger import compare
from orchestrator.bench.ledger.bare import BOUND, COST, BareSqlite
from orchestrator.bench.ledger.subject import Subject
from orchestrator.ledger.factory import reader_from_url


async def test_both_sides_make_the_calls_they_are_timed_for(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    subject = Subject(url)
    await subject.open()
    await subject.calls(32, at_once=16)
    await subject.aclose()
    with reader_from_url(url) as reader:
        (total,) = reader.totals([])
        budgets = list(reader._query("SELECT settled, reserved FROM accounts", ()))
    assert (total.attempts, total.cost.nano) == (32, 32 * COST)
    assert budgets == [(32 * COST, 0)] * 4

    bare = BareSqlite(tmp_path / "bare.db")
    bare.reserve(["a", "b"], 0)
    assert bare._db.execute("SELECT spent, held FROM budget").fetchone() == (0, 2 * BOUND)
    bare.settle(["a", "b"], b"reply")
    assert bare._db.execute("SELECT spent, held FROM budget").fetchone() == (2 * COST, 0)
    replies = bare._db.execute("SELECT cost, reply FROM attempts").fetchall()
    assert replies == [(COST, b"reply")] * 2
    bare.close()


async def test_a_slow_disk_is_slow_for_both():
    _, quick = await compare.compare_sqlite(rounds=1, calls=16, slow=False)
    alone, slow = await compare.compare_sqlite(rounds=1, calls=16, slow=True)

    assert "fsync + 1 ms" in alone.what
    assert slow.ledger <= 16 / (2 * compare.SLOW_S), "two commits for sixteen calls at best"
    assert slow.yardstick <= 16 / (2 * compare.SLOW_S)
    assert quick.yardstick > 0


async def test_a_reserve_among_processes_is_timed(tmp_path):
    ratio = await asyncio.to_thread(compare.compare_processes, calls=5)

    assert ratio.ledger >= ratio.yardstick > 0


async def test_the_rival_on_postgres_updates_one_row(postgres_url):
    psycopg = pytest.importorskip("psycopg")
    url = postgres_url.partition("&schema")[0]
    ratio = await compare.compare_postgres(url, rounds=1, calls=64, slow=False)

    assert ratio.ledger > 0
    with psycopg.connect(url) as db:
        assert db.execute("SELECT held FROM bare_budget").fetchone() == (64 * BOUND,)
    with psycopg.connect(compare.with_slow_commits(url)) as db:
        assert db.execute("SHOW commit_delay").fetchone() == ("1000",)
        assert db.execute("SHOW commit_siblings").fetchone() == ("0",)
