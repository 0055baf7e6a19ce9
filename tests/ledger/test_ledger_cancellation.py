"""A caller may vanish at any moment: it leaves neither a hold nor a place in a queue."""

import asyncio

import pytest

from orchestrator.core.money import Money


async def test_cancelling_a_waiter_withdraws_it(bank, demand):
    await bank.open_task()
    hold = await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await bank.settle(hold, 0)

    assert await bank.sums() == (0, 0, 0)
    assert len((await bank.ledger.history("task-1")).attempts) == 1


@pytest.mark.parametrize("steps", range(6))
async def test_a_grant_that_races_with_a_cancellation_leaves_no_hold(bank, demand, steps):
    """However far the grant came when the cancellation struck."""
    await bank.open_task()
    for _ in range(10):
        asking = asyncio.create_task(bank.hold(50, demand(100)))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        (outcome,) = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(outcome, str):
            await bank.release(outcome)
        else:
            assert isinstance(outcome, asyncio.CancelledError)
        assert await bank.sums() == (0, 0, 0)

    for attempt in (await bank.ledger.history("task-1")).attempts:
        assert attempt.end is not None
        assert (attempt.end.end, attempt.end.cost) == ("released", Money.ZERO)


async def test_a_waiter_granted_while_it_is_cancelled_leaves_no_hold(bank, demand):
    await bank.open_task()
    for _ in range(10):
        hold = await bank.hold(100, demand(100))
        waiter = await bank.waits(bank.hold(50, demand(100)))
        settling = asyncio.create_task(bank.settle(hold, 0))
        await asyncio.sleep(0)
        waiter.cancel()
        outcomes = await asyncio.gather(waiter, settling, return_exceptions=True)

        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert await bank.sums() == (0, 0, 0)


async def test_a_caller_cancelled_again_and_again_still_releases_its_hold(bank, demand):
    await bank.open_task()
    asking = asyncio.create_task(bank.hold(50, demand(100)))
    await asyncio.sleep(0)
    while not asking.done():
        asking.cancel()
        await asyncio.sleep(0)

    assert asking.cancelled()
    assert await bank.sums() == (0, 0, 0)


async def test_a_timeout_around_a_waiter_withdraws_it(bank, demand):
    await bank.open_task()
    await bank.hold(100, demand(100))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bank.hold(50, demand(100))

    assert len((await bank.ledger.history("task-1")).attempts) == 1


async def test_a_hold_granted_to_an_event_loop_that_is_gone_is_released(bank, demand):
    await bank.open_task()
    hold = await bank.hold(100, demand(100))
    loop = asyncio.new_event_loop()
    waiter = loop.create_task(bank.hold(50, demand(100)))

    def run_and_close():
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    await asyncio.to_thread(run_and_close)
    await bank.settle(hold, 0)
    for _ in range(2):
        await bank.barrier()

    assert await bank.sums() == (0, 0, 0)
    waiter._log_destroy_pending = False


async def test_an_ask_that_is_thrown_away_leaves_no_hold(bank, demand):
    await bank.open_task()
    asking = bank.ledger.reserve(bank.intent(50), [demand(100)])
    asking.send(None)

    asking.close()
    await bank.barrier()

    assert await bank.sums() == (0, 0, 0)


async def test_an_end_goes_on_though_its_caller_was_cancelled(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(50, demand(100))
    settling = asyncio.create_task(bank.settle(attempt, 20))
    await asyncio.sleep(0)

    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)

    assert await bank.sums() == (20, 0, 0)
