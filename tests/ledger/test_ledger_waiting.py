"""Promise 2: who waits, in which order, and that nobody waits in vain or holds unseen."""

import asyncio
import contextlib
import threading

import pytest

from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.money import Money
from orchestrator.ledger.bookkeeping import transactor
from orchestrator.ledger.records import Account
from orchestrator.ledger.refusals import BudgetShort, TaskSignalled


def task_account(task_id):
    return Account("task", task_id, "task")


async def test_a_waiter_is_served_when_a_hold_comes_back(bank, demand):
    await bank.open_task()
    first = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await bank.settle(first, 20)

    await waiter
    assert await bank.sums() == (20, 50, 0)


async def test_a_waiter_is_served_by_a_release_too(bank, demand):
    await bank.open_task()
    first = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(100, demand(100)))

    await bank.release(first)

    await waiter
    assert await bank.sums() == (0, 100, 0)


async def test_a_waiter_goes_on_waiting_while_too_little_comes_back(bank, demand):
    await bank.open_task()
    holds = [await bank.hold(30, demand(100)) for _ in range(3)]
    waiter = await bank.waits(bank.hold(60, demand(100)))

    await bank.settle(holds[0], 5)
    await bank.barrier()
    assert not waiter.done()
    await bank.settle(holds[1], 5)

    await waiter


async def test_a_waiter_that_can_no_longer_fit_is_refused(bank, demand):
    await bank.open_task()
    first = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await bank.settle(first, 60)

    with pytest.raises(BudgetShort) as caught:
        await waiter
    assert caught.value.balance.settled == Money(60)


async def test_a_waiter_behind_another_is_refused_as_soon_as_it_cannot_fit(bank, demand):
    await bank.open_task()
    small = await bank.hold(30, demand(100))
    large = await bank.hold(70, demand(100))
    first = await bank.waits(bank.hold(40, demand(100)))
    hopeless = await bank.waits(bank.hold(80, demand(100)))

    await bank.settle(small, 30)

    with pytest.raises(BudgetShort):
        await hopeless
    assert not first.done()
    await bank.settle(large, 0)
    await first


async def test_waiters_are_served_in_the_order_they_came(bank, demand):
    await bank.open_task()
    hold = await bank.hold(100, demand(100))
    served = []

    async def ask(name):
        attempt = await bank.hold(60, demand(100))
        served.append(name)
        return attempt

    waiters = [await bank.waits(ask(name)) for name in range(5)]
    await bank.settle(hold, 0)
    for waiter in waiters:
        await bank.settle(await waiter, 0)

    assert served == [0, 1, 2, 3, 4]


async def test_a_small_newcomer_does_not_overtake_those_who_wait(bank, demand):
    await bank.open_task()
    hold = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(70, demand(100)))

    newcomer = await bank.waits(bank.hold(10, demand(100)))

    await bank.settle(hold, 0)
    await asyncio.gather(waiter, newcomer)
    assert await bank.sums() == (0, 80, 0)


async def test_who_waits_elsewhere_does_not_hold_up_an_account(bank, demand):
    """Nobody queues at the team's budget while it is his own task's that is short."""
    for task in ["task-1", "task-2"]:
        await bank.open_task(task)
    hold = await bank.hold(10, demand(100), demand(10, task_account("task-1")))
    waiter = await bank.waits(bank.hold(10, demand(100), demand(10, task_account("task-1"))))

    other = demand(90, task_account("task-2"))
    await bank.settle(await bank.hold(90, demand(100), other, task="task-2"), 1)

    assert not waiter.done()
    await bank.settle(hold, 0)
    await waiter
    assert await bank.sums() == (1, 10, 0)


async def test_when_a_waiter_leaves_those_behind_are_judged_again(bank, demand):
    await bank.open_task()
    await bank.hold(60, demand(100))
    large = await bank.waits(bank.hold(70, demand(100)))
    small = await bank.waits(bank.hold(40, demand(100)))

    large.cancel()

    await small
    with pytest.raises(asyncio.CancelledError):
        await large
    assert await bank.sums() == (0, 100, 0)


async def test_when_a_signal_takes_a_waiter_away_those_behind_are_judged_again(bank, demand):
    await bank.open_task("task-1")
    await bank.open_task("task-2")
    await bank.hold(60, demand(100), task="task-2")
    large = await bank.waits(bank.hold(70, demand(100)))
    small = await bank.waits(bank.hold(40, demand(100), task="task-2"))

    await bank.ledger.signal("task-1", "paused")

    with pytest.raises(TaskSignalled):
        await large
    await small
    assert await bank.sums() == (0, 100, 0)


async def test_rows_that_are_forgotten_between_transactions_are_loaded_again(
    bank, demand, monkeypatch
):
    monkeypatch.setattr(transactor, "MAX_REMEMBERED", 0)
    await bank.open_task()
    hold = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await bank.settle(hold, 20)

    await bank.settle(await waiter, 10)
    assert await bank.sums() == (30, 0, 0)


async def test_a_waiter_that_moves_to_another_account_keeps_its_place_in_the_order_of_arrival(
    bank, demand, team
):
    """A came first, but waited for its own task; at the team it is still before B."""
    await bank.open_task("task-1")
    await bank.open_task("task-2")
    mine = demand(50, task_account("task-1"))
    shared = await bank.hold(100, demand(100), task="task-2")
    own = await bank.hold(50, mine)
    first = await bank.waits(bank.hold(50, mine, demand(100)))
    second = await bank.waits(bank.hold(60, demand(100), task="task-2"))

    await bank.settle(own, 0)
    await bank.barrier()
    assert not first.done()
    await bank.settle(shared, 0)

    await first
    await bank.barrier()
    assert not second.done()
    assert await bank.sums(team) == (0, 50, 0)
    await bank.settle(first.result(), 0)
    await second


async def test_who_needs_nothing_waits_behind_nobody(bank, demand):
    await bank.open_task()
    await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await asyncio.wait_for(bank.hold(0, demand(100)), 20)

    assert not waiter.done()
    waiter.cancel()


async def test_crossed_paths_do_not_deadlock(bank, demand):
    left, right = (Account("user", f"acme/research/{name}", "total") for name in "ab")
    await bank.open_task()

    async def work(*path):
        for _ in range(20):
            attempt = await bank.hold(60, *(demand(100, account) for account in path))
            await asyncio.sleep(0)
            await bank.settle(attempt, 0)

    await asyncio.wait_for(
        asyncio.gather(
            *(work(*path) for path in [(left, right), (right, left), (left,), (right,)])
        ),
        timeout=20,
    )

    assert await bank.sums(left) == await bank.sums(right) == (0, 0, 0)


@pytest.mark.parametrize("numbers", [(1000, 90, 40, 60), (7, 3, 2, 9)])
async def test_limit_bound_and_cost_decide_how_many_are_served(bank, demand, numbers):
    limit, bound, cost, askers = numbers
    await bank.open_task()

    async def ask():
        try:
            attempt = await bank.hold(bound, demand(limit))
        except BudgetShort:
            return 0
        assert (await bank.balance()).committed.nano <= limit
        await bank.settle(attempt, cost)
        return 1

    served = sum(await asyncio.gather(*(ask() for _ in range(askers))))

    assert served == (limit - bound) // cost + 1
    assert await bank.sums() == (served * cost, 0, 0)


async def test_as_many_are_served_on_a_tree_of_budgets(bank, demand):
    tasks = [f"task-{number}" for number in range(5)]
    for task in tasks:
        await bank.open_task(task)

    async def ask(task):
        try:
            attempt = await bank.hold(90, demand(1000), demand(300, task_account(task)), task=task)
        except BudgetShort:
            return 0
        await bank.settle(attempt, 40)
        return 1

    served = sum(await asyncio.gather(*(ask(task) for task in tasks for _ in range(12))))

    assert served == (1000 - 90) // 40 + 1
    for task in tasks:
        assert (await bank.balance(task_account(task))).committed <= Money(300)


async def test_askers_on_several_event_loops_share_one_budget(bank, demand):
    await bank.open_task()
    served = []

    async def ask():
        with contextlib.suppress(BudgetShort):
            attempt = await bank.hold(90, demand(1000))
            await bank.settle(attempt, 40)
            served.append(attempt)

    async def many():
        await asyncio.gather(*(ask() for _ in range(10)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    assert len(served) == (1000 - 90) // 40 + 1
    assert await bank.sums() == (len(served) * 40, 0, 0)


async def test_a_signal_refuses_those_who_wait(bank, demand):
    await bank.open_task("task-1")
    await bank.open_task("task-2")
    hold = await bank.hold(100, demand(100), task="task-2")
    waiter = await bank.waits(bank.hold(50, demand(100)))
    other = await bank.waits(bank.hold(50, demand(100), task="task-2"))

    await bank.ledger.signal("task-1", "paused")

    with pytest.raises(TaskSignalled) as caught:
        await waiter
    assert caught.value.reason == "paused"
    assert not other.done()
    await bank.settle(hold, 0)
    await other


@pytest.mark.parametrize("task", ["outer", "inner"])
async def test_a_takeover_refuses_those_who_wait(bank, demand, task):
    await bank.open_task("outer")
    await bank.open_task("inner", ancestors=("outer",))
    await bank.open_task("beside")
    await bank.hold(100, demand(100), task="beside")
    waiter = await bank.waits(bank.hold(50, demand(100), task=task))

    await bank.ledger.take_over("outer", owner="process-2")

    with pytest.raises(Fenced):
        await waiter


async def test_the_end_of_a_run_refuses_those_who_wait(bank, demand):
    await bank.open_task("task-1")
    await bank.open_task("task-2")
    await bank.hold(100, demand(100), task="task-2")
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await bank.close_task("task-1", status="failed")

    with pytest.raises(Fenced):
        await waiter


async def test_a_takeover_serves_or_refuses_who_waited_for_the_dead(bank, demand):
    await bank.open_task("task-1")
    await bank.open_task("task-2")
    await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100), task="task-2"))

    await bank.ledger.take_over("task-1", owner="process-2")

    with pytest.raises(BudgetShort):
        await waiter
    assert await bank.sums() == (0, 0, 60)


async def test_closing_the_ledger_refuses_those_who_wait(bank, demand):
    await bank.open_task()
    await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100)))

    await bank.aclose()

    with pytest.raises(LedgerUnavailable, match="closed"):
        await waiter


async def test_the_one_attempt_id_waits_once(bank, demand):
    await bank.open_task()
    hold = await bank.hold(100, demand(100))
    waiter = await bank.waits(bank.hold(50, demand(100), attempt_id="a"))

    with pytest.raises(ValueError, match="waits already"):
        await bank.hold(50, demand(100), attempt_id="a")

    await bank.settle(hold, 0)
    assert await waiter == "a"
    assert await bank.sums() == (0, 50, 0)


async def test_who_matters_more_is_served_first_and_then_who_came_first(bank, demand):
    await bank.open_task()
    held = await bank.hold(90, demand(100))
    served: list[str] = []

    async def ask(name: str, priority: str) -> None:
        intent = bank.intent(60, attempt_id=name)
        await bank.ledger.reserve(intent, [demand(100)], priority=priority)
        served.append(name)
        await bank.settle(name, 1)

    asking = []
    for name, priority in (("l1", "low"), ("n1", "normal"), ("n2", "normal"), ("h1", "high")):
        asking.append(await bank.waits(ask(name, priority)))
    await bank.settle(held, 1)
    await asyncio.gather(*asking)

    assert served == ["h1", "n1", "n2", "l1"]
