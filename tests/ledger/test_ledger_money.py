"""What is booked where: promises 1 to 3, 5 and 6, on every backend."""

import asyncio
from datetime import timedelta

import pytest

from orchestrator.core.errors import TaskNotFound
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import Account, Balance
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort


async def test_a_reserve_is_held_on_every_account_of_the_path(bank, demand, team):
    await bank.open_task()
    task = Account("task", "task-1", "task")

    await bank.hold(40, demand(100), demand(50, task))

    assert await bank.sums(team) == (0, 40, 0)
    assert await bank.sums(task) == (0, 40, 0)


async def test_a_refusal_holds_on_no_account_of_the_path(bank, demand, team):
    await bank.open_task()
    task = Account("task", "task-1", "task")

    with pytest.raises(BudgetShort) as caught:
        await bank.hold(60, demand(100), demand(50, task))

    assert caught.value.demand == demand(50, task)
    assert caught.value.balance == Balance()
    assert await bank.sums(team) == (0, 0, 0)
    assert (await bank.ledger.history("task-1")).attempts == ()
    assert (await bank.ledger.verify()).accounts == 0


async def test_a_refusal_says_what_was_booked_when_it_was_judged(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(70, demand(100)), 65)

    with pytest.raises(BudgetShort) as caught:
        await bank.hold(36, demand(100))

    assert caught.value.balance == Balance(settled=Money(65))
    assert caught.value.left_nano == 35
    await bank.hold(30, demand(100), attempt_id="held")
    await bank.ledger.take_over("task-1", owner="process-2")
    with pytest.raises(BudgetShort) as caught:
        await bank.hold(1, demand(90, withheld=2), epoch=2)
    assert caught.value.left_nano == 90 - 2 - 65 - 30


async def test_settling_books_the_cost_and_gives_back_the_rest(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.settle(attempt, 15)

    assert await bank.sums() == (15, 0, 0)


async def test_a_release_costs_nothing(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.release(attempt)

    assert await bank.sums() == (0, 0, 0)


async def test_what_is_billed_above_the_reserve_is_booked_apart(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.settle(attempt, 40, overrun=Money(1_000))

    assert await bank.balance() == Balance(settled=Money(40), overrun=Money(1_000))
    await bank.hold(60, demand(100))


async def test_more_than_the_reserve_cannot_be_settled(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    with pytest.raises(ValueError, match="book what is above as overrun"):
        await bank.settle(attempt, 41)

    assert await bank.sums() == (0, 40, 0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"end": "expired"}, "only the ledger expires"),
        ({"end": "released", "cost": 1}, "costs nothing"),
        ({"cost": -1}, "must lie between"),
        ({"overrun": Money(-1)}, "must lie between"),
        ({"cost": 10**18 + 1}, "must lie between"),
        ({"at": "naive"}, "time zone"),
    ],
)
async def test_an_impossible_end_changes_nothing(bank, demand, clock, fields, reason):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))
    if "at" in fields:
        fields = {"at": clock.now().replace(tzinfo=None)}

    with pytest.raises(ValueError, match=reason):
        await bank.settle(attempt, **{"cost": 0, **fields})

    assert await bank.sums() == (0, 40, 0)


async def test_an_attempt_ends_exactly_once(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))
    await bank.settle(attempt, 15)

    with pytest.raises(AlreadyEnded):
        await bank.settle(attempt, 30)
    with pytest.raises(AlreadyEnded):
        await bank.release(attempt)

    assert await bank.sums() == (15, 0, 0)


async def test_two_ends_at_once_book_one(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    ends = await asyncio.gather(
        bank.settle(attempt, 15), bank.settle(attempt, 30), return_exceptions=True
    )

    assert [type(end) for end in ends] == [type(None), AlreadyEnded]
    assert await bank.sums() == (15, 0, 0)


async def test_an_attempt_that_was_never_reserved_cannot_end(bank):
    with pytest.raises(ValueError, match="never reserved"):
        await bank.settle("attempt-0", 1)


async def test_an_attempt_id_is_used_once(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(40, demand(100), attempt_id="a"), 40)

    with pytest.raises(ValueError, match="new id"):
        await bank.hold(40, demand(100), attempt_id="a")

    assert await bank.sums() == (40, 0, 0)


async def test_one_attempt_id_reserved_twice_at_once_holds_once(bank, demand):
    await bank.open_task()

    outcomes = await asyncio.gather(
        *(bank.hold(40, demand(100), attempt_id="a") for _ in range(2)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [str, ValueError]
    assert await bank.sums() == (0, 40, 0)


async def test_two_budgets_on_one_account_hold_once(bank, demand):
    await bank.open_task()

    await bank.hold(40, demand(100), demand(50))

    assert await bank.sums() == (0, 40, 0)
    with pytest.raises(BudgetShort) as caught:
        await bank.hold(51, demand(100), demand(50))
    assert caught.value.demand.limit == Money(50)


async def test_without_a_budget_everything_is_granted_and_recorded(bank):
    await bank.open_task()

    await bank.settle(await bank.hold(10**15), 10**15)

    (attempt,) = (await bank.ledger.history("task-1")).attempts
    assert attempt.end is not None
    assert attempt.end.cost == Money(10**15)


async def test_a_finish_reserve_is_kept_for_who_may_touch_it(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(80, demand(100, withheld=20)), 80)

    with pytest.raises(BudgetShort):
        await bank.hold(1, demand(100, withheld=20))
    await bank.hold(20, demand(100))

    assert await bank.sums() == (80, 20, 0)


async def test_a_new_window_is_a_new_account(bank, demand, clock):
    await bank.open_task()
    days = [
        Account("team", "acme/research", f"day:{day}", start, start + timedelta(days=1))
        for day in range(2)
        for start in [clock.now() + timedelta(days=day)]
    ]
    await bank.settle(await bank.hold(100, demand(100, days[0])), 100)
    clock.advance(days=1)

    await bank.settle(await bank.hold(100, demand(100, days[1])), 60)

    assert await bank.sums(days[0]) == (100, 0, 0)
    assert await bank.sums(days[1]) == (60, 0, 0)


async def test_the_record_of_an_attempt_comes_back_as_it_was_given(bank, demand, clock):
    await bank.open_task()
    intent = bank.intent(40, kind="escalation", origin="eu/KEY_B", token_bound=123)
    await bank.ledger.reserve(intent, [demand(100)])
    clock.advance(seconds=1.000001)
    usage = Usage(100, 20, 5, 6, 7)
    await bank.settle(
        intent.attempt_id,
        15,
        overrun=Money(3),
        certainty="estimated",
        usage=usage,
        served_model="small-2026",
        price_source="policy",
        error="cut",
        reply=b"\x00reply",
        saved=Money(9),
        saved_seconds=2.5,
    )

    (attempt,) = (await bank.ledger.history("task-1")).attempts

    assert attempt.intent == intent
    assert attempt.end is not None
    assert attempt.end.usage == usage
    assert attempt.end.at == clock.now()
    assert attempt.end.reply == b"\x00reply"
    assert (attempt.end.cost, attempt.end.overrun) == (Money(15), Money(3))
    assert (attempt.end.end, attempt.end.certainty) == ("settled", "estimated")
    assert (attempt.end.served_model, attempt.end.price_source) == ("small-2026", "policy")
    assert (attempt.end.error, attempt.end.seconds) == ("cut", 1.5)
    assert (attempt.end.saved, attempt.end.saved_seconds) == (Money(9), 2.5)


async def test_an_error_that_is_no_unicode_is_recorded_all_the_same(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.settle(attempt, 0, error="bad \ud800 byte", served_model="\udfff")

    (record,) = (await bank.ledger.history("task-1")).attempts
    assert record.end is not None
    assert record.end.error == "bad ? byte"


async def test_impossible_values_are_refused_and_harm_nobody_else(bank, demand, clock):
    await bank.open_task()
    outcomes = await asyncio.gather(
        bank.hold(40, demand(100), step="\ud800"),
        bank.hold(-1, demand(100)),
        bank.hold(1, demand(100), at=clock.now().replace(tzinfo=None)),
        bank.hold(1, demand(2**70)),
        bank.hold(40, demand(100), attempt_id="good"),
        return_exceptions=True,
    )

    assert [isinstance(outcome, ValueError) for outcome in outcomes] == [True] * 4 + [False]
    assert await bank.sums() == (0, 40, 0)


async def test_a_task_that_is_not_there_cannot_reserve(bank, demand):
    with pytest.raises(TaskNotFound, match="task-9"):
        await bank.hold(1, demand(100), task="task-9")


async def test_an_overdue_hold_of_a_dead_owner_becomes_disputed(store, open_bank, demand, clock):
    dead = await open_bank(store)
    await dead.open_task()
    attempt = await dead.hold(40, demand(100))
    await dead.aclose()
    bank = await open_bank(store)

    assert await bank.ledger.expire_overdue() == 0
    clock.advance(seconds=130)
    assert await bank.ledger.expire_overdue() == 1
    assert await bank.ledger.expire_overdue() == 0

    assert await bank.sums() == (0, 0, 40)
    (doubt,) = await bank.ledger.in_doubt()
    assert (doubt.intent.attempt_id, doubt.end.cost) == (attempt, Money(40))
    assert (doubt.end.end, doubt.end.certainty) == ("expired", "unknown")
    assert doubt.end.seconds == 130
    assert await bank.ledger.in_doubt("task-1") == [doubt]
    assert await bank.ledger.in_doubt("task-2") == []
    with pytest.raises(AlreadyEnded):
        await bank.settle(attempt, 1)
    assert await bank.sums() == (0, 0, 40)


async def test_a_hold_of_a_living_owner_never_expires(bank, demand, clock):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))
    clock.advance(days=1)

    assert await bank.ledger.expire_overdue() == 0

    await bank.settle(attempt, 15)
    assert await bank.sums() == (15, 0, 0)
