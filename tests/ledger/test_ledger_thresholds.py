"""Thresholds that were crossed, and what tasks cost from a step on, on every backend."""

from dataclasses import replace

import pytest

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.afterwards import Crossing

WRITER = Scope("acme", "research", "writer", "any", "research")


async def test_a_threshold_is_crossed_once_whoever_notices(bank, demand, team):
    await bank.open_task()
    await bank.settle(await bank.hold(90, demand(100)), 85)
    first = Crossing(team.key, 8_000, 100)

    assert [await bank.ledger.cross(first) for _ in range(2)] == [True, False]
    assert await bank.ledger.cross(Crossing(team.key, 8_000, 200)), "with more money, anew"
    assert await bank.ledger.cross(Crossing("another", 8_000, 100))

    (balance,), crossed = await bank.ledger.levels([team])
    assert balance.settled == Money(85)
    assert crossed == {first, Crossing(team.key, 8_000, 200)}


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
async def test_a_crossing_whose_transaction_was_undone_was_not_crossed(store):
    store.open()
    crossing = Crossing("key", 8_000, 100)
    store.begin(write=True)
    store.insert_crossing(crossing, 1)
    store.rollback()
    store.begin(write=False)

    found = store.crossings(["key"])
    store.rollback()
    store.close()

    assert list(found) == []


async def test_what_completed_tasks_cost_from_a_step_on(bank, demand):
    async def work(task, *costs):
        await bank.open_task(task)
        for step, cost in costs:
            attempt = await bank.hold(50, demand(1_000), task=task, step=step)
            await bank.settle(attempt, cost, overrun=Money(1))
        bank.clock.advance(seconds=1)

    await work("task-1", ("plan", 5), ("answer", 7), ("plan", 11))
    await work("task-2", ("plan", 20), ("answer", 3))
    await work("task-3", ("answer", 9))
    await work("task-4", ("plan", 40))
    for task in ("task-1", "task-2", "task-3"):
        await bank.close_task(task)
        bank.clock.advance(seconds=1)

    rests = bank.ledger.rests
    assert sorted(await rests(WRITER, "answer", 9)) == [Money(4), Money(10), Money(20)]
    assert sorted(await rests(WRITER, "plan", 9)) == [Money(25), Money(26)], "none that runs yet"
    assert await rests(WRITER, "answer", 1) == [Money(10)], "of the newest"
    assert await rests(WRITER, "unheard", 9) == []
    assert await rests(WRITER, "plan", 1) == [], "the newest did not plan"
    assert await rests(replace(WRITER, agent="reader"), "plan", 9) == []
