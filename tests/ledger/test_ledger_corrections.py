"""What an attempt in doubt really cost, once somebody says so."""

import asyncio
import sqlite3

import pytest

from orchestrator.core.money import Money
from orchestrator.ledger.afterwards import Correction, NotInDoubt


@pytest.fixture
def say(bank):
    async def correct(attempt_id: str, nano: int, **more):
        fields = {"certainty": "known", "source": "usage.csv:2", "at": bank.clock.now(), **more}
        await bank.ledger.correct(Correction(attempt_id=attempt_id, cost=Money(nano), **fields))

    return correct


@pytest.fixture
async def doubt(bank, demand):
    """An attempt that holds 40 of 100, and whose owner died."""
    await bank.open_task()
    attempt_id = await bank.hold(40, demand(100))
    await bank.ledger.take_over("task-1", owner="process-2")
    assert await bank.sums() == (0, 0, 40)
    return attempt_id


async def test_a_corrected_attempt_is_settled_at_what_it_cost_and_stays_told(bank, doubt, say):
    await say(doubt, 15)

    assert await bank.sums() == (15, 0, 0)
    assert await bank.ledger.in_doubt() == []
    (record,) = (await bank.ledger.history("task-1")).attempts
    assert (record.end.end, record.end.cost, record.end.certainty) == (
        "expired",
        Money(15),
        "known",
    )
    assert (await bank.ledger.verify()).is_sound


async def test_the_last_word_stands(bank, doubt, say):
    await say(doubt, 15)
    await say(doubt, 0)
    assert await bank.sums() == (0, 0, 0)
    await say(doubt, 40)

    assert await bank.sums() == (40, 0, 0)


async def test_what_was_billed_above_the_reserve_is_an_overrun(bank, doubt, say):
    await say(doubt, 55)

    balance = await bank.balance()
    assert (balance.settled, balance.overrun, balance.disputed) == (
        Money(40),
        Money(15),
        Money.ZERO,
    )
    await say(doubt, 10)
    assert (await bank.balance()).overrun == Money.ZERO


async def test_only_a_doubt_can_be_resolved(bank, demand, say):
    await bank.open_task()
    settled, still_open = await bank.hold(10, demand(100)), await bank.hold(10, demand(100))
    await bank.settle(settled, 7)

    for attempt_id, why in (
        (settled, "settled by its owner"),
        (still_open, "still open"),
        ("nobody", "no attempt"),
    ):
        with pytest.raises(NotInDoubt, match=why):
            await say(attempt_id, 1)
    assert await bank.sums() == (7, 10, 0)


async def test_money_that_a_correction_frees_can_be_spent_and_its_waiters_are_served(
    bank, demand, doubt, say
):
    """60 are left: 30 are held, 50 more wait for them, and for nothing else."""
    held = await bank.hold(30, demand(100), epoch=2)
    waiting = await bank.waits(bank.hold(50, demand(100), epoch=2))

    await say(doubt, 10)

    await asyncio.wait_for(waiting, 5)
    assert await bank.sums() == (10, 80, 0)
    await bank.settle(held, 30)


async def test_an_account_that_is_opened_later_begins_with_what_was_corrected(
    bank, demand, doubt, say, team
):
    await say(doubt, 15)
    later = type(team)("agent", "acme/research/writer", "total")

    await bank.hold(5, demand(100, later), epoch=2)

    assert await bank.sums(later) == (15, 5, 0)


async def test_a_correction_is_never_changed(sqlite_bank, ledger_path, demand):
    bank = sqlite_bank
    await bank.open_task()
    attempt_id = await bank.hold(40, demand(100))
    await bank.ledger.take_over("task-1", owner="process-2")
    await bank.ledger.correct(
        Correction(
            attempt_id=attempt_id,
            cost=Money(3),
            certainty="known",
            source="by hand",
            at=bank.clock.now(),
        )
    )
    with sqlite3.connect(ledger_path) as db:
        for statement in ("UPDATE corrections SET cost = 0", "DELETE FROM corrections"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()
