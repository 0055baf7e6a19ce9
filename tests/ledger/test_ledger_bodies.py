"""How long prompts, replies and outputs are kept: promise 15, on every backend."""

from datetime import timedelta

import pytest

from orchestrator.core.money import Money


async def bodies(bank, task_id="task-1"):
    """Input, replies and output, as far as they are kept."""
    record = await bank.ledger.task(task_id)
    history = await bank.ledger.history(task_id)
    replies = [attempt.end.reply for attempt in history.attempts if attempt.end is not None]
    return record.opening.input_body, replies, record.output


async def run_to(bank, status, **fields):
    await bank.open_task()
    await bank.settle(await bank.hold(1), 1, reply=b"reply")
    await bank.close_task(status=status, **fields)


INPUT = b'{"question": "why"}'


async def test_completion_removes_the_journal_and_keeps_the_output_30_days(store, open_bank, clock):
    bank = await open_bank(store)
    await run_to(bank, "completed", output=("json", b"42"))

    assert await bodies(bank) == (b"", [None], ("json", b"42"))

    await bank.aclose()
    clock.advance(days=30)
    bank = await open_bank(store)
    assert await bodies(bank) == (b"", [None], None)
    (attempt,) = (await bank.ledger.history("task-1")).attempts
    assert attempt.end.cost == Money(1)


@pytest.mark.parametrize("status", ["halted", "failed"])
async def test_a_halt_keeps_the_journal_30_days(store, open_bank, clock, status):
    bank = await open_bank(store)
    await run_to(bank, status)
    clock.advance(days=29)
    await bank.aclose()
    bank = await open_bank(store)
    assert await bodies(bank) == (INPUT, [b"reply"], None)

    clock.advance(days=1)
    await bank.open_task("task-2")
    await bank.close_task("task-2")

    assert await bodies(bank) == (b"", [None], None)


async def test_a_task_that_runs_again_keeps_its_journal(store, open_bank, clock):
    bank = await open_bank(store)
    await run_to(bank, "halted")
    clock.advance(days=29)
    await bank.ledger.take_over("task-1", owner="process-2")
    clock.advance(days=29)
    await bank.aclose()

    bank = await open_bank(store)

    assert await bodies(bank) == (INPUT, [b"reply"], None)


async def test_a_task_that_died_without_a_halt_is_forgotten_after_30_days(store, open_bank, clock):
    bank = await open_bank(store)
    await bank.open_task()
    clock.advance(days=20)
    await bank.settle(await bank.hold(1), 1, reply=b"reply")
    await bank.aclose()
    clock.advance(days=20)
    bank = await open_bank(store)
    assert await bodies(bank) == (INPUT, [b"reply"], None)
    await bank.aclose()

    clock.advance(days=10)
    bank = await open_bank(store)

    assert await bodies(bank) == (b"", [None], None)


async def test_bodies_can_be_kept_for_replay(store, open_bank, clock):
    bank = await open_bank(store, keep_bodies=timedelta(days=60))
    await run_to(bank, "completed", output=("json", b"42"))
    clock.advance(days=59)
    await bank.aclose()
    bank = await open_bank(store)
    assert await bodies(bank) == (INPUT, [b"reply"], ("json", b"42"))
    await bank.aclose()

    clock.advance(days=1)
    bank = await open_bank(store)

    assert await bodies(bank) == (b"", [None], None)


async def test_completion_removes_the_journals_of_what_ran_inside(bank):
    await bank.open_task("outer")
    await bank.open_task("inner", ancestors=("outer",))
    await bank.settle(await bank.hold(1, task="inner"), 1, reply=b"reply")
    await bank.close_task("inner", status="halted", output=("json", b"1"))

    await bank.close_task("outer")

    assert await bodies(bank, "inner") == (b"", [None], ("json", b"1"))


@pytest.mark.parametrize(("status", "reply"), [("completed", None), ("halted", b"late")])
async def test_a_reply_that_comes_after_the_run_returned(bank, status, reply):
    """After a halt it saves paying again; after completion nobody would ever remove it."""
    await bank.open_task()
    attempt = await bank.hold(1)
    await bank.close_task(status=status)

    await bank.settle(attempt, 1, reply=b"late")

    assert await bodies(bank) == (b"" if status == "completed" else INPUT, [reply], None)


async def test_a_reply_that_comes_after_completion_is_kept_for_replay_too(store, open_bank, clock):
    bank = await open_bank(store, keep_bodies=timedelta(days=3))
    await bank.open_task()
    attempt = await bank.hold(1)
    await bank.close_task()
    await bank.settle(attempt, 1, reply=b"late")

    assert await bodies(bank) == (INPUT, [b"late"], None)
    clock.advance(days=3)
    await bank.open_task("task-2")
    await bank.close_task("task-2")
    assert await bodies(bank) == (b"", [None], None)


@pytest.mark.parametrize("status", ["halted", "failed"])
async def test_a_reply_that_comes_after_a_halt_is_kept_30_days_from_then(bank, clock, status):
    await bank.open_task()
    attempt = await bank.hold(1)
    await bank.close_task(status=status)
    clock.advance(days=1)
    await bank.settle(attempt, 1, reply=b"late")

    for days, kept in ((29, b"late"), (1, None)):
        clock.advance(days=days)
        await bank.open_task(f"after-{days}")
        await bank.close_task(f"after-{days}")
        assert await bodies(bank) == (b"", [kept], None)
