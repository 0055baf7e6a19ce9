"""What a memo asks of the ledger, on every backend: hits that cost nothing, and forgetting."""

import sqlite3
from contextlib import closing
from datetime import datetime

import pytest

from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptEnd, Forgotten
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.stores.sqlite_reading import SqliteReader


def hit(bank, **fields):
    """An intent and an end, as of a memo that answered."""
    intent = bank.intent(0, kind="memo")
    made = {"end": "settled", "cost": Money.ZERO, "certainty": "known", "seconds": 0.001}
    made |= {"at": bank.clock.now(), "saved": Money(70), "saved_seconds": 1.25}
    return intent, AttemptEnd(attempt_id=intent.attempt_id, **{**made, **fields})


def remembered(bank, attempt_id="att-hit", **fields):
    made = {"task_id": "task-1", "epoch": 1, "key": "key", "request_hash": "hash", "step": "plan"}
    made |= {"model": "small", "at": bank.clock.now(), "saved": Money(70), "saved_seconds": 1.25}
    made |= {"served_model": "small-v2", "reply": b"again", "decision": bank.decision(attempt_id)}
    return Remembered(attempt_id=attempt_id, **{**made, **fields})


async def test_a_memo_that_answered_is_an_attempt_that_touches_no_account(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(60, demand(100)), 50)
    hit = remembered(bank)

    bank.ledger.hit(hit)

    history = await bank.ledger.history("task-1")
    assert await bank.sums() == (50, 0, 0)
    found = history.attempts[-1]
    assert (found.intent, found.end, found.is_hit) == (hit.intent(), hit.end(), True)
    assert (found.end.cost, found.end.saved, found.end.reply) == (Money.ZERO, Money(70), b"again")
    assert history.decisions["key"].attempt_id == "att-hit"


@pytest.mark.parametrize("fields", [{"epoch": 2}, {"task_id": "nobody's"}])
async def test_nothing_is_written_for_who_does_not_own_the_task(bank, fields):
    await bank.open_task()
    bank.ledger.hit(remembered(bank, **fields))
    assert (await bank.ledger.history("task-1")).attempts == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"model": "a\ud800b"}, "lone surrogate"),
        ({"step": "a\x00b"}, "null character"),
        ({"saved": Money(-1)}, "saved is"),
        ({"saved": Money(10**18 + 1)}, "saved is"),
        ({"saved_seconds": float("nan")}, "saved_seconds is"),
        ({"at": datetime(2026, 11, 23)}, "without a time zone"),  # noqa: DTZ001 - without a time zone
    ],
)
async def test_a_hit_that_no_store_can_hold_is_its_callers_error_alone(bank, fields, why):
    await bank.open_task()
    bank.ledger.hit(remembered(bank))
    with pytest.raises(ValueError, match=why):
        bank.ledger.hit(remembered(bank, "att-other", **fields))
    (found,) = (await bank.ledger.history("task-1")).attempts
    assert found.intent.attempt_id == "att-hit"


async def test_whatever_a_provider_called_its_model_a_hit_is_written(bank):
    await bank.open_task()
    bank.ledger.hit(remembered(bank, served_model="odd\ud800\x00"))
    (found,) = (await bank.ledger.history("task-1")).attempts
    assert found.end.served_model == found.intent.provider_model == "odd?\N{REPLACEMENT CHARACTER}"


async def test_what_was_free_is_an_attempt_that_touches_no_account(bank, demand):
    await bank.open_task()
    await bank.settle(await bank.hold(60, demand(100)), 50)
    intent, end = hit(bank, reply=b"again")

    bank.ledger.free(intent, end, bank.decision(intent.attempt_id))

    history = await bank.ledger.history("task-1")
    assert await bank.sums() == (50, 0, 0)
    found = history.attempts[-1]
    assert (found.intent, found.end, found.is_hit) == (intent, end, True)
    assert history.decisions["key"].attempt_id == intent.attempt_id


async def test_a_hit_that_costs_something_is_refused(bank):
    await bank.open_task()

    bank.ledger.free(*hit(bank, cost=Money(1)), None)

    assert (await bank.ledger.history("task-1")).attempts == ()


async def test_hits_in_a_row_travel_together_and_are_all_there_when_it_is_closed(
    sqlite_bank, ledger_path
):
    """Being woken for each, the writer's thread would keep the loop of the agents waiting."""
    await sqlite_bank.open_task()
    made = [hit(sqlite_bank) for _ in range(2000)]

    for intent, end in made:
        sqlite_bank.ledger.free(intent, end, None)
        # A bundle holds 512; more only begin while the writer is at work.
        assert sqlite_bank.ledger._writer._queue.qsize() <= 4
    await sqlite_bank.abandon()

    with SqliteReader(ledger_path) as reader:
        rows = [row.attempt_id for row in reader.attempts()]
    assert rows == [intent.attempt_id for intent, _ in made]


async def test_a_hit_is_over_as_it_is_written_and_never_holds_anything(sqlite_bank, ledger_path):
    await sqlite_bank.open_task()
    with closing(sqlite3.connect(ledger_path)) as database, database:
        database.execute(
            "CREATE TRIGGER never BEFORE INSERT ON holds BEGIN SELECT RAISE(ABORT, 'a hold'); END"
        )
    intent, end = hit(sqlite_bank)

    sqlite_bank.ledger.free(intent, end, None)
    await sqlite_bank.abandon()

    with SqliteReader(ledger_path) as reader:
        assert [row.attempt_id for row in reader.attempts()] == [intent.attempt_id]


async def test_a_hit_is_written_after_what_came_before_it_and_before_what_comes_next(bank, demand):
    await bank.open_task()
    expected = []
    for _ in range(20):
        for noted in (hit(bank), hit(bank)):
            bank.ledger.free(*noted, None)
            expected.append(noted[0].attempt_id)
        expected.append(await bank.hold(1, demand(100)))

    history = await bank.ledger.history("task-1")
    assert [one.intent.attempt_id for one in history.attempts] == expected


@pytest.mark.parametrize(
    ("tenant", "whose"), [(None, ["here", "there"]), ("research", ["here"]), ("none", [])]
)
async def test_forgetting_a_user_erases_bodies_and_no_money(bank, demand, tenant, whose):
    tasks = {
        "here": {},
        "there": {"tenant": "other"},
        "someone's": {"user": "u2"},
        "nobody's": {"user": None},
    }
    for task, fields in tasks.items():
        await bank.open_task(task, **fields)
        await bank.settle(await bank.hold(10, demand(100), task=task), 10, reply=b"secret")
    await bank.close_task("here", status="halted")

    gone = await bank.ledger.forget("u1", tenant=tenant)

    tasks_gone, running = tuple(sorted(gone.tasks)), tuple(set(whose) - {"here"})
    assert (tasks_gone, gone.running, gone.bodies) == (tuple(whose), running, 2 * len(whose))
    for task in tasks:
        (attempt,) = (await bank.ledger.history(task)).attempts
        assert attempt.end.reply == (None if task in whose else b"secret")
        kept = (await bank.ledger.task(task)).opening.input_body
        assert (kept == b"") is (task in whose)
    assert await bank.sums() == (40, 0, 0)
    again = await bank.ledger.forget("u1", tenant=tenant)
    assert again == Forgotten(tasks=gone.tasks, running=running, bodies=0)
