"""Who gives way neither waits, nor stands in a queue, nor takes the last part of a budget."""

import asyncio

import pytest

from orchestrator.budgets.demands import giving_way
from orchestrator.core.money import Money
from orchestrator.ledger.records import Account, Demand
from orchestrator.ledger.refusals import BudgetShort


async def test_it_does_not_wait_for_what_others_hold(bank, demand):
    await bank.open_task()
    await bank.hold(60, demand(100))
    (mine,) = giving_way([demand(100)])
    with pytest.raises(BudgetShort):
        await asyncio.wait_for(bank.hold(30, mine), 10)
    await bank.hold(20, mine)


async def test_it_does_not_go_past_those_who_wait(bank, demand):
    await bank.open_task()
    first = await bank.hold(60, demand(100))
    waiter = await bank.waits(bank.hold(90, demand(100)))
    (mine,) = giving_way([demand(100)])
    with pytest.raises(BudgetShort):
        await asyncio.wait_for(bank.hold(1, mine), 10)
    await bank.settle(first, 10)
    await waiter


def test_it_leaves_a_fifth_of_every_budget_but_its_own():
    asked = [
        Demand(Account(kind, "a", "total"), Money(100), Money(5)) for kind in ("team", "upkeep")
    ]
    assert [one.withheld for one in giving_way(asked)] == [Money(20), Money(5)]
