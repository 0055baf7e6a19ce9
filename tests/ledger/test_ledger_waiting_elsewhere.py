"""Waiting for money that another process gives back, or leaves behind."""

import asyncio
import sqlite3
from datetime import timedelta
from types import SimpleNamespace

import pytest

from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.records import Account
from orchestrator.ledger.refusals import BudgetShort, TaskSignalled
from orchestrator.ledger.stores import sqlite
from orchestrator.ledger.stores.sqlite import SqliteStore


def task_account(task_id):
    return Account("task", task_id, "task")


async def test_a_waiter_sees_what_another_ledger_gives_back(open_bank, ledger_path, demand):
    """Two ledgers on one file are what two processes are."""
    here = await open_bank(SqliteStore(ledger_path))
    there = await open_bank(SqliteStore(ledger_path))
    there.numbers = iter(range(1000, 2000))
    await here.open_task()
    hold = await there.hold(100, demand(100))
    waiter = await here.waits(here.hold(50, demand(100)))

    await there.settle(hold, 20)

    await asyncio.wait_for(waiter, timeout=20)
    assert await there.sums() == (20, 50, 0)


async def test_a_waiter_sees_what_another_ledger_signals(open_bank, ledger_path, demand):
    here = await open_bank(SqliteStore(ledger_path))
    there = await open_bank(SqliteStore(ledger_path))
    await here.open_task()
    await here.hold(100, demand(100))
    waiter = await here.waits(here.hold(50, demand(100)))

    await there.ledger.signal("task-1", "cancelled")

    with pytest.raises(TaskSignalled):
        await asyncio.wait_for(waiter, timeout=20)


async def test_a_waiter_is_not_kept_by_an_owner_that_died(open_bank, ledger_path, demand, clock):
    """Its hold expires while somebody waits for it, though nobody asks for that."""
    dead = await open_bank(SqliteStore(ledger_path))
    await dead.open_task()
    await dead.hold(60, demand(100))
    await dead.aclose()
    bank = await open_bank(SqliteStore(ledger_path))
    bank.numbers = iter(range(1000, 2000))
    mine = await bank.hold(20, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    clock.advance(seconds=130)

    with pytest.raises(BudgetShort):
        await asyncio.wait_for(waiter, timeout=20)
    assert await bank.sums() == (0, 20, 60)
    await bank.settle(mine, 20)


async def test_a_busy_ledger_sees_an_owner_that_died_too(open_bank, ledger_path, demand, clock):
    """It never has nothing to do, which must not be what it waits for."""
    dead = await open_bank(SqliteStore(ledger_path))
    await dead.open_task()
    await dead.hold(60, demand(100))
    await dead.aclose()
    bank = await open_bank(SqliteStore(ledger_path))
    bank.numbers = iter(range(1000, 2000))
    await bank.open_task("task-2")
    waiter = await bank.waits(bank.hold(50, demand(100), task="task-2"))
    writer = bank.ledger._writer
    busy = True

    def next_one(unit):
        if busy:
            writer.submit(Operation(None, next_one))

    writer.submit(Operation(None, next_one))
    clock.advance(seconds=130)

    try:
        with pytest.raises(BudgetShort):
            await asyncio.wait_for(waiter, timeout=20)
    finally:
        busy = False
    assert await bank.sums() == (0, 0, 60)


async def test_a_hold_lives_from_its_grant_however_long_it_was_waited_for(
    open_bank, ledger_path, demand, clock
):
    here = await open_bank(SqliteStore(ledger_path))
    there = await open_bank(SqliteStore(ledger_path))
    await here.open_task()
    first = await here.hold(60, demand(100))
    waiter = await here.waits(here.hold(50, demand(100)))
    clock.advance(hours=1)
    await here.settle(first, 0)
    attempt = await waiter
    granted = clock.now()

    clock.advance(seconds=129)
    assert await there.ledger.expire_overdue() == 0
    (*_, record) = (await here.ledger.history("task-1")).attempts
    assert record.intent.expires_at == granted + timedelta(seconds=130)
    assert record.intent.at == granted - timedelta(hours=1), "its windows are those of its intent"
    await here.settle(attempt, 5)

    assert await here.sums() == (5, 0, 0)


async def test_an_owner_that_died_after_a_long_wait_is_found_out_all_the_same(
    open_bank, ledger_path, demand, clock
):
    dead = await open_bank(SqliteStore(ledger_path))
    there = await open_bank(SqliteStore(ledger_path))
    await dead.open_task()
    first = await dead.hold(60, demand(100))
    waiter = await dead.waits(dead.hold(50, demand(100)))
    clock.advance(hours=1)
    await dead.settle(first, 0)
    await waiter

    clock.advance(seconds=130)

    assert await there.ledger.expire_overdue() == 1


def test_who_had_to_wait_for_the_file_leaves_it_to_others(ledger_path, monkeypatch):
    store = SqliteStore(ledger_path)
    store.open()
    other = sqlite3.connect(ledger_path, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    store._patiently.sleep = lambda _: other.execute("COMMIT")
    slept, now = [], [100.0]
    monkeypatch.setattr(
        sqlite, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=slept.append)
    )

    for _ in range(2):
        store.begin(write=True)
        store.commit()
    now[0] += sqlite.GIVE_WAY_S
    store.begin(write=True)
    store.commit()

    (pause,) = slept
    assert 0 < pause <= sqlite.GIVE_WAY_S * 1.001
    store.close()
    other.close()
