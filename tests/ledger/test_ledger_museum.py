"""Faults of other systems, each named after what went wrong there. None may happen here."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.factory import ledger_from_url
from orchestrator.ledger.records import Account
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.ledger.stores.sqlite_reading import SqliteReader

TASK = Account("task", "task-1", "task")


async def test_parallel_calls_do_not_all_pass_a_check_then_act_budget(bank, demand):
    await bank.open_task()
    highest = 0

    async def call():
        nonlocal highest
        attempt = await bank.hold(100, demand(100))
        highest = max(highest, (await bank.balance()).committed.nano)
        await bank.settle(attempt, 100)

    outcomes = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)

    assert highest == 100
    assert sum(isinstance(outcome, BudgetShort) for outcome in outcomes) == 19
    assert await bank.sums() == (100, 0, 0)


async def test_a_reservation_is_refused_and_not_trimmed_to_the_headroom(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(90, demand(100)), 90)

    with pytest.raises(BudgetShort):
        await bank.hold(11, demand(100))

    assert await bank.sums() == (90, 0, 0)
    attempt = await bank.hold(10, demand(100))
    (*_, record) = (await bank.ledger.history("task-1")).attempts
    assert (record.intent.attempt_id, record.intent.reserve) == (attempt, Money(10))


async def test_holds_do_not_leak_when_callers_are_cancelled(bank, demand):
    """The key stood pinned at $805 with $280 really spent."""
    await bank.open_task()
    asking = [asyncio.create_task(bank.hold(30, demand(100))) for _ in range(20)]
    for steps, task in enumerate(asking):
        if steps % 4 == 0:
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for task in asking:
        if not task.cancelled():
            await bank.release(task.result())

    assert await bank.sums() == (0, 0, 0)
    await bank.hold(100, demand(100))


async def test_a_retried_request_is_not_reserved_twice(bank, demand):
    await bank.open_task()
    await bank.hold(30, demand(100), attempt_id="a")

    with contextlib.suppress(ValueError):
        await bank.hold(30, demand(100), attempt_id="a")

    assert await bank.sums() == (0, 30, 0)


async def test_processes_do_not_each_allow_the_whole_budget(open_bank, ledger_path, demand):
    banks = [await open_bank(SqliteStore(ledger_path)) for _ in range(4)]
    await banks[0].open_task()
    granted = []

    async def ask(number, bank):
        with contextlib.suppress(BudgetShort):
            attempt = await bank.hold(40, demand(100), attempt_id=f"a{number}")
            granted.append(attempt)
            await bank.settle(attempt, 40)

    await asyncio.gather(*(ask(number, bank) for number, bank in enumerate(banks)))

    assert len(granted) == 2
    assert {await bank.sums() for bank in banks} == {(80, 0, 0)}


async def test_a_counter_is_not_seeded_once_per_process(open_bank, ledger_path, demand):
    first = await open_bank(SqliteStore(ledger_path))
    await first.open_task()
    await first.settle(await first.hold(30), 30)
    others = [await open_bank(SqliteStore(ledger_path)) for _ in range(3)]

    for number, bank in enumerate(others):
        await bank.hold(1, demand(100), attempt_id=f"a{number}")

    assert await first.sums() == (30, 3, 0)


async def test_a_late_settlement_does_not_erase_the_new_windows_spend(bank, demand, clock):
    await bank.open_task()
    days = [
        Account("team", "acme/research", f"day:{day}", start, start + timedelta(days=1))
        for day, start in enumerate([clock.now(), clock.now() + timedelta(days=1)])
    ]
    late = await bank.hold(50, demand(100, days[0]))
    clock.advance(days=1)
    await bank.settle(await bank.hold(70, demand(100, days[1])), 70)

    await bank.settle(late, 50)

    assert await bank.sums(days[0]) == (50, 0, 0)
    assert await bank.sums(days[1]) == (70, 0, 0)


@pytest.mark.parametrize("url", ["sqlite:////dev/null/ledger.db", "sqlite:////proc/ledger.db"])
async def test_no_database_is_not_no_budget(url, clock, bank, demand):
    ledger = ledger_from_url(url, clock=clock)

    with pytest.raises(LedgerUnavailable):
        await ledger.open()
    with pytest.raises(LedgerUnavailable):
        await ledger.reserve(bank.intent(1), [demand(100)])


async def test_fail_closed_fails_closed(open_bank, ledger_path, demand):
    def fail(point):
        if point == "before commit" and failing:
            raise OSError(28, "No space left on device")

    failing = []
    bank = await open_bank(SqliteStore(ledger_path, faults=fail))
    await bank.open_task()
    failing.append(True)

    outcomes = await asyncio.gather(
        *(bank.hold(1, demand(100)) for _ in range(10)), return_exceptions=True
    )

    failing.clear()
    assert {type(outcome) for outcome in outcomes} == {LedgerUnavailable}
    assert await bank.sums() == (0, 0, 0)


async def test_a_cut_stream_and_a_failed_call_are_not_free(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.settle(attempt, 40, certainty="estimated", error="the stream was cut")

    assert await bank.sums() == (40, 0, 0)


async def test_resume_does_not_reset_the_spend_to_zero(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(60, demand(100, TASK)), 60)
    await bank.close_task(status="halted")

    record = await bank.ledger.take_over("task-1", owner="process-2", add_budget=Money(5))

    assert await bank.sums(TASK) == (60, 0, 0)
    grown = 100 + record.added_budget.nano
    with pytest.raises(BudgetShort):
        await bank.hold(46, demand(grown, TASK), epoch=2)
    await bank.hold(45, demand(grown, TASK), epoch=2)


async def test_sub_agents_do_not_escape_their_parents_budget(bank, demand):
    await bank.open_task("task-1")
    for number in range(5):
        await bank.open_task(f"child-{number}", ancestors=("task-1",))

    async def ask(number):
        attempt = await bank.hold(30, demand(100, TASK), task=f"child-{number}")
        await bank.settle(attempt, 30)

    outcomes = await asyncio.gather(*map(ask, range(5)), return_exceptions=True)

    assert sum(isinstance(outcome, BudgetShort) for outcome in outcomes) == 2
    assert await bank.sums(TASK) == (90, 0, 0)


async def test_one_budget_error_does_not_abort_the_whole_fan_out(bank, demand):
    await bank.open_task()
    sizes = [30, 500, 30, 500, 30]

    outcomes = await asyncio.gather(
        *(bank.hold(size, demand(100)) for size in sizes), return_exceptions=True
    )

    assert [isinstance(outcome, str) for outcome in outcomes] == [True, False, True, False, True]
    assert await bank.sums() == (0, 90, 0)


async def test_a_multi_agent_session_shows_the_sum_of_its_agents(sqlite_bank, ledger_path):
    """It showed $0.00 beside a trace of $2.42."""
    await sqlite_bank.open_task("task-1")
    await sqlite_bank.open_task("child", ancestors=("task-1",), agent="reader")
    for task, cost in [("task-1", 142), ("child", 100)]:
        await sqlite_bank.settle(await sqlite_bank.hold(cost, task=task), cost)

    family = await sqlite_bank.ledger.family("task-1")
    histories = [await sqlite_bank.ledger.history(task) for task in family]
    with SqliteReader(ledger_path) as reader:
        totals = {total.group: total.cost for total in reader.totals(["agent"])}

    assert sum(one.end.cost.nano for it in histories for one in it.attempts) == 242
    assert totals == {("writer",): Money(142), ("reader",): Money(100)}
    assert await sqlite_bank.sums(TASK) == (242, 0, 0)


async def test_failed_calls_are_billed_and_logged_alike(sqlite_bank, ledger_path, demand):
    await sqlite_bank.open_task()
    attempt = await sqlite_bank.hold(40, demand(100))
    await sqlite_bank.settle(
        attempt, 40, overrun=Money(2), certainty="estimated", error="unreadable"
    )

    with SqliteReader(ledger_path) as reader:
        (logged,) = reader.attempts()

    assert (logged.cost, logged.error) == (Money(42), "unreadable")
    assert await sqlite_bank.sums() == (40, 0, 0)


@pytest.mark.parametrize("usage", [None, Usage(-5, 10), Usage(10**9, 10**9)])
async def test_what_the_provider_claims_never_moves_money_by_itself(bank, demand, usage):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.settle(attempt, 40, usage=usage, certainty="estimated")

    assert await bank.sums() == (40, 0, 0)


async def test_a_dead_process_does_not_free_what_it_may_have_spent(open_bank, ledger_path, demand):
    dead = await open_bank(SqliteStore(ledger_path))
    await dead.open_task()
    attempt = await dead.hold(60, demand(100))
    bank = await open_bank(SqliteStore(ledger_path))
    await bank.ledger.take_over("task-1", owner="process-2")

    with pytest.raises(AlreadyEnded):
        await dead.settle(attempt, 1)
    with pytest.raises(BudgetShort):
        await bank.hold(41, demand(100), epoch=2, attempt_id="b")

    assert await bank.sums() == (0, 0, 60)


async def test_a_window_in_any_zone_is_the_key_it_was_given(bank, demand):
    """Reset at midnight of the wrong zone: nothing here ever resets."""
    start = datetime(2026, 11, 19, 23, tzinfo=UTC)
    berlin = Account(
        "team", "acme/research", "day@Europe/Berlin:2026-11-20", start, start + timedelta(days=1)
    )
    utc = Account(
        "team",
        "acme/research",
        "day@UTC:2026-11-20",
        start + timedelta(hours=1),
        start + timedelta(hours=25),
    )
    await bank.open_task()

    await bank.settle(await bank.hold(10, demand(100, berlin)), 10)

    assert await bank.sums(berlin) == await bank.sums(utc) == (10, 0, 0)
    await bank.settle(await bank.hold(5, demand(100, berlin), demand(100, utc)), 5)
    assert await bank.sums(berlin) == await bank.sums(utc) == (15, 0, 0)
