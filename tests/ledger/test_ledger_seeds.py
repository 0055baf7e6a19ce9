"""An account that is met for the first time starts with what its holder already spent."""

from datetime import timedelta

import pytest

from orchestrator.core.money import Money
from orchestrator.ledger.records import Account, Balance
from orchestrator.ledger.refusals import BudgetShort


async def spend(bank, cost, *demands, task="task-1", overrun=0):
    attempt = await bank.hold(cost, *demands, task=task)
    await bank.settle(attempt, cost, overrun=Money(overrun))


@pytest.mark.parametrize(
    ("kind", "identity", "spent"),
    [
        ("org", "acme", 1111),
        ("team", "acme/research", 111),
        ("agent", "acme/research/writer", 11),
        ("user", "acme/research/u1", 101),
        ("task", "task-1", 1),
        ("task", "task-9", 0),
        ("org", "other", 0),
    ],
)
async def test_a_budget_added_later_counts_what_its_holder_spent(
    bank, demand, kind, identity, spent
):
    await bank.open_task("task-1")
    await bank.open_task("task-2", user=None)
    await bank.open_task("task-3", agent="reader")
    await bank.open_task("task-4", team="sales")
    for number in range(4):
        await spend(bank, 10**number, task=f"task-{number + 1}")

    account = Account(kind, identity, "total")

    assert await bank.sums(account) == (spent, 0, 0)
    await bank.hold(5, demand(10_000, account))
    assert await bank.sums(account) == (spent, 5, 0)


async def test_a_budget_added_at_noon_counts_the_whole_morning(bank, demand, clock):
    await bank.open_task()
    midnight = clock.now().replace(hour=0)
    today = Account("team", "acme/research", "day", midnight, midnight + timedelta(days=1))
    for time, cost in [(midnight - timedelta(microseconds=1), 1000), (midnight, 20)]:
        clock.time = time
        await spend(bank, cost)
    clock.time = midnight + timedelta(hours=12)
    await spend(bank, 3)

    with pytest.raises(BudgetShort):
        await bank.hold(78, demand(100, today))
    await bank.hold(77, demand(100, today))

    assert await bank.sums(today) == (23, 77, 0)


async def test_a_window_counts_an_attempt_when_it_began(bank, clock):
    await bank.open_task()
    midnight = clock.now().replace(hour=0) + timedelta(days=1)
    tomorrow = Account("user", "acme/research/u1", "day", midnight, midnight + timedelta(days=1))
    clock.time = midnight - timedelta(seconds=1)
    attempt = await bank.hold(40)
    clock.advance(seconds=2)
    await bank.settle(attempt, 40)

    assert await bank.sums(tomorrow) == (0, 0, 0)


async def test_an_open_attempt_counts_its_reserve(bank, demand, team):
    await bank.open_task()
    attempt = await bank.hold(40)
    await bank.hold(1, demand(100))

    await bank.settle(attempt, 5)

    assert await bank.sums(team) == (40, 1, 0)


async def test_overrun_is_seeded_apart(bank, demand, team):
    await bank.open_task()
    await spend(bank, 40, overrun=7)

    await bank.hold(60, demand(100))

    assert await bank.balance(team) == Balance(Money(40), Money(60), Money.ZERO, Money(7))


async def test_a_task_counts_what_ran_inside_it(bank, demand):
    await bank.open_task("outer")
    await bank.open_task("inner", ancestors=("outer",))
    await bank.open_task("innermost", ancestors=("outer", "inner"))
    for number, task in enumerate(["outer", "inner", "innermost"]):
        await spend(bank, 10**number, task=task)

    spent = {
        task: (await bank.sums(Account("task", task, "task")))[0]
        for task in ["outer", "inner", "innermost"]
    }

    assert spent == {"outer": 111, "inner": 110, "innermost": 100}


async def test_a_seed_is_taken_once_even_if_judged_before(bank, demand):
    """Judging must not fix the seed: what is spent elsewhere meanwhile still counts."""
    await bank.open_task()
    await spend(bank, 40)
    with pytest.raises(BudgetShort):
        await bank.hold(61, demand(100))
    await spend(bank, 30)

    await bank.hold(30, demand(100))
    await spend(bank, 500)

    assert await bank.sums() == (70, 30, 0)
