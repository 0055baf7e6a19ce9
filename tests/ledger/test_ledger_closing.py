"""A ledger that closes, and event loops that close before they have their answer."""

import asyncio
from datetime import timedelta

import pytest

from orchestrator.core.errors import LedgerClosed
from orchestrator.ledger.stores.sqlite import SqliteStore


def ask_and_be_gone(asking):
    """Ask from an event loop that closes at once."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(asking)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task._log_destroy_pending = False


async def test_an_end_counts_though_the_event_loop_of_its_caller_is_gone(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(50, demand(100))
    async with bank.held_up():
        await asyncio.to_thread(ask_and_be_gone, bank.settle(attempt, 20))

    assert await bank.sums() == (20, 0, 0)


async def test_what_was_granted_to_nobody_while_it_closed_expires(
    ledger_path, open_bank, demand, clock
):
    """It was granted with the last batch, so nobody could release it any more."""
    bank = await open_bank(SqliteStore(ledger_path))
    await bank.open_task()
    await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(1, demand(100)))
    async with bank.held_up():
        await asyncio.to_thread(ask_and_be_gone, bank.hold(50))
        closing = asyncio.create_task(bank.abandon())
        await asyncio.sleep(0)
        bank.ledger._writer._wake()  # another process committed

    await closing
    with pytest.raises(LedgerClosed):
        await waiter
    with pytest.raises(LedgerClosed):
        await bank.hold(1)
    after = await open_bank(SqliteStore(ledger_path))
    assert len((await after.ledger.history("task-1")).attempts) == 2
    clock.advance(seconds=130)
    assert await after.ledger.expire_overdue() == 2
    assert await after.sums() == (0, 0, 100)


async def test_who_is_cancelled_while_it_closes_is_cancelled(bank, demand):
    await bank.open_task()
    await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(1, demand(100)))

    closing = asyncio.create_task(bank.abandon())
    waiter.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiter
    await closing


async def test_bodies_whose_time_came_while_it_was_closed_go_when_it_is_opened(
    ledger_path, open_bank, clock
):
    bank = await open_bank(SqliteStore(ledger_path), keep_bodies=timedelta(hours=1))
    for task in ("task-1", "task-2"):
        await bank.open_task(task)
    await bank.close_task("task-1")
    await bank.aclose()
    clock.advance(hours=1)

    after = await open_bank(SqliteStore(ledger_path))

    inputs = [(await after.ledger.task(task)).opening.input_body for task in ("task-1", "task-2")]
    assert inputs == [b"", b'{"question": "why"}']
