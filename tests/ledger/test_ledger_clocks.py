"""Clocks that are wrong, are set, or stand still: nothing expires early, and nothing is reset."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.budgets.rules import BudgetRule
from orchestrator.budgets.windows import account_for
from orchestrator.core.money import Money
from orchestrator.ledger.records import Demand
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.ledger.stores.steady import SteadyClock, steady_clock


@pytest.fixture
def steady():
    return steady_clock() or pytest.skip("this machine has no clock that nobody can set")


@pytest.fixture
async def two_banks(ledger_path, steady, open_bank):
    """Two processes on one file; who they are does not depend on the time of day."""
    return [await open_bank(SqliteStore(ledger_path, steady=steady)) for _ in range(2)]


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)])
async def test_setting_the_time_expires_nobodys_hold(two_banks, demand, jump):
    here, there = two_banks
    await here.open_task()
    attempt = await here.hold(60, demand(100))
    there.clock.time += jump

    assert await there.ledger.expire_overdue() == 0

    await here.settle(attempt, 20)
    assert await there.sums() == (20, 0, 0)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_hold_of_the_dead_expires_in_its_time_whatever_the_time_of_day(
    two_banks, demand, jump
):
    here, there = two_banks
    await here.open_task()
    life = timedelta(milliseconds=50)
    await here.hold(60, demand(100), expires_at=here.clock.now() + life)
    there.clock.time += jump
    await asyncio.sleep(0.1)

    assert await there.ledger.expire_overdue() == 1
    assert await there.sums() == (0, 0, 60)


async def test_a_hold_that_waited_for_its_money_does_not_last_the_longer_for_it(two_banks, demand):
    here, there = two_banks
    await here.open_task()
    asked_at = here.clock.now() - timedelta(hours=1)
    await here.hold(60, demand(100), at=asked_at, expires_at=asked_at + timedelta(milliseconds=50))
    await asyncio.sleep(0.1)

    assert await there.ledger.expire_overdue() == 1


async def test_a_hold_from_before_the_machine_was_started_anew_is_overdue(
    ledger_path, steady, open_bank, demand
):
    before = await open_bank(SqliteStore(ledger_path, steady=SteadyClock("the boot before")))
    await before.open_task()
    await before.hold(60, demand(100))

    after = await open_bank(SqliteStore(ledger_path, steady=steady))
    assert await after.ledger.expire_overdue() == 1
    assert await after.sums() == (0, 0, 60)


async def test_an_owner_that_slept_half_a_minute_too_long_is_fenced(open_bank, ledger_path, demand):
    """What it held is in doubt and stays held; its late answer books nothing twice."""
    sleeper = await open_bank(SqliteStore(ledger_path))
    other = await open_bank(SqliteStore(ledger_path))
    await sleeper.open_task()
    attempt = await sleeper.hold(60, demand(100))
    other.clock.advance(seconds=129)
    assert await other.ledger.expire_overdue() == 0, "not a moment too early"
    other.clock.advance(seconds=1)
    assert await other.ledger.expire_overdue() == 1

    with pytest.raises(AlreadyEnded):
        await sleeper.settle(attempt, 20)
    assert await sleeper.sums() == (0, 0, 60)
    with pytest.raises(BudgetShort):
        await sleeper.hold(41, demand(100))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"])
@pytest.mark.parametrize(
    "start",
    [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)],
)
async def test_a_window_left_and_entered_again_by_a_clock_that_jumps_keeps_its_spend(
    bank, zone, start
):
    """An hour forth and back, over the change to and from summer time, at every quarter."""
    rule = BudgetRule(scope="team", limit=Money(100), window="hour", timezone=zone)
    bank.clock.time = start
    scope = await bank.open_task()
    spent = {}
    for quarter in range(16):
        for jump in (timedelta(hours=1), timedelta(0), timedelta(hours=-1), timedelta(0)):
            bank.clock.time = start + timedelta(minutes=15 * quarter) + jump
            account = account_for(rule, scope, bank.clock.now())
            assert account.starts_at <= bank.clock.now() < account.ends_at
            assert (await bank.sums(account))[0] == spent.get(account.key, 0)
            await bank.settle(await bank.hold(1, Demand(account, Money(100))), 1)
            spent[account.key] = spent.get(account.key, 0) + 1

    assert sum(spent.values()) == 64
    assert len(spent) in (6, 7), "an hour is an hour, whatever it is called"


def test_the_machines_clock_goes_on_and_says_which_start_it_counts_from(steady):
    before = steady.now_us()
    assert steady.now_us() >= before
    assert steady_clock() == steady
