"""PostgreSQL tells a process what others commit, while somebody there waits for it."""

import asyncio

import pytest

postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")


async def test_a_waiter_is_woken_by_what_another_process_commits(postgres_url, open_bank, demand):
    """Not by looking: that is far away."""
    stores = [postgres.PostgresStore(postgres_url) for _ in range(2)]
    for store in stores:
        store.look_after_s = (600.0, 600.0)
    here, there = [await open_bank(store) for store in stores]
    there.numbers = here.numbers
    await here.open_task()
    held = await there.hold(90, demand(100))
    waiter = await here.waits(here.hold(50, demand(100)))

    await there.settle(held, 40)

    await asyncio.wait_for(waiter, 10)
    waiter = await here.waits(here.hold(50, demand(100)))
    await there.ledger.signal("task-1", "paused")
    with pytest.raises(Exception, match="paused"):
        await asyncio.wait_for(waiter, 10)


async def test_a_process_in_which_nobody_waits_is_not_woken(postgres_url, open_bank, demand):
    stores = [postgres.PostgresStore(postgres_url) for _ in range(2)]
    for store in stores:
        store.look_after_s = (600.0, 600.0)
    here, there = [await open_bank(store) for store in stores]
    there.numbers = here.numbers
    listener = stores[0]._listener
    await here.open_task()
    for _ in range(2):
        assert not listener._is_listening
        held = await there.hold(90, demand(100))
        waiter = await here.waits(here.hold(50, demand(100)))
        await until(lambda: listener._is_listening)
        await there.settle(held, 0)
        await here.settle(await asyncio.wait_for(waiter, 10), 0)

        await there.settle(await there.hold(1, demand(100)), 0)

        await until(lambda: not listener._is_listening)


async def until(happens):
    async with asyncio.timeout(10):
        while not happens():
            await asyncio.sleep(0.001)
