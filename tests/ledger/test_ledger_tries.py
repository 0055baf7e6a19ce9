"""What a store undoes for a reason that passes is tried again, but not for ever."""

import asyncio
import sqlite3

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.bookkeeping import transactor
from orchestrator.ledger.stores.memory import MemoryStore

PASSES = 4
"""Failures in a row that nobody hears of."""


class Stumbling(MemoryStore):
    """Fails to begin, so many times."""

    stumbles = 0
    begun = 0

    def begin(self, *, write):
        self.begun += 1
        if self.stumbles:
            self.stumbles -= 1
            raise InterruptedError
        super().begin(write=write)

    def is_passing(self, error):
        return isinstance(error, InterruptedError)


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(transactor, "TRY_AFTER_S", 0)
    return Stumbling()


async def test_what_passes_is_not_noticed(bank, store, demand):
    await bank.open_task()
    held = await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(30, demand(100)))

    store.stumbles = PASSES
    await bank.settle(held, 20)
    await waiter
    store.stumbles = PASSES
    assert await bank.sums() == (20, 30, 0)


async def test_what_does_not_pass_is_told_after_so_many_tries(bank, store, demand):
    await bank.open_task()
    for asking in (bank.hold(1, demand(100)), bank.balance()):
        store.begun, store.stumbles = 0, PASSES + 1
        with pytest.raises(LedgerUnavailable, match="InterruptedError"):
            await asking
        assert (store.begun, store.stumbles) == (PASSES + 1, 0)


async def test_who_waited_longer_asks_first_when_a_batch_is_tried_again(bank, store, demand):
    await bank.open_task()
    held = await bank.hold(100, demand(100))
    waiters = [await bank.waits(bank.hold(60 + n, demand(100))) for n in range(2)]

    async with bank.held_up():
        store.stumbles = 1
        late = asyncio.create_task(bank.hold(40, demand(100)))
        settling = asyncio.create_task(bank.settle(held, 0))
        await asyncio.sleep(0)
    await settling

    await waiters[0]
    await bank.barrier()
    assert [waiters[1].done(), late.done()] == [False, False]
    assert await bank.sums() == (0, 60, 0)
    for one in (waiters[1], late):
        one.cancel()


def test_of_what_fails_in_memory_nothing_passes():
    assert not MemoryStore().is_passing(InterruptedError())


async def test_a_store_that_cannot_be_looked_at_is_told_to_those_who_wait(
    sqlite_bank, demand, monkeypatch
):
    await sqlite_bank.open_task()
    await sqlite_bank.hold(60, demand(100))
    waiter = await sqlite_bank.waits(sqlite_bank.hold(50, demand(100)))

    def fail(_):
        message = "disk I/O error"
        raise sqlite3.OperationalError(message)

    monkeypatch.setattr(sqlite_bank.ledger._store, "overdue", fail)

    with pytest.raises(LedgerUnavailable, match="disk I/O error"):
        await asyncio.wait_for(waiter, 10)
