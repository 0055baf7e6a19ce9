"""Tasks, epochs, signals, journal and bodies, on every backend."""

import pytest

from orchestrator.core.errors import Fenced, LedgerUnavailable, TaskExists, TaskNotFound
from orchestrator.core.halt import Count, Halt, Probability, Seconds
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import Demand, TaskOpening
from orchestrator.ledger.refusals import AlreadyEnded, TaskSignalled


async def test_a_task_comes_back_as_it_was_opened(bank, clock):
    scope = Scope(
        org="acme",
        team="research",
        agent="writer",
        task_id="task-1",
        tenant="t",
        user=None,
        ancestors=("task-0",),
        tags={"feature": "search"},
    )
    opening = TaskOpening(
        scope=scope,
        owner="process-1",
        graph="graphs:answer",
        policy="research.yaml",
        input_type="json",
        input_body=b"\x00input",
        at=clock.now(),
        budget=Money(250),
        timeout_s=12.5,
        parent_key="key",
    )

    assert await bank.ledger.open_task(opening) == 1
    record = await bank.ledger.task("task-1")

    assert record is not None
    assert record.opening == opening
    assert (record.status, record.epoch, record.updated_at) == ("running", 1, clock.now())
    assert (record.added_budget, dict(record.extensions)) == (Money.ZERO, {})
    assert (record.running_s, record.halt, record.error, record.output) == (0, None, None, None)


async def test_a_task_id_is_taken_once(bank):
    await bank.open_task()

    with pytest.raises(TaskExists, match="task-1"):
        await bank.open_task()


async def test_what_is_not_there_is_said_so(bank):
    assert await bank.ledger.task("task-1") is None
    assert await bank.ledger.epoch("task-1") == 0
    assert await bank.ledger.family("task-1") == []
    with pytest.raises(TaskNotFound):
        await bank.ledger.take_over("task-1", owner="process-2")
    with pytest.raises(TaskNotFound):
        await bank.ledger.signal("task-1", "paused")
    with pytest.raises(TaskNotFound):
        await bank.close_task()


async def test_a_family_is_listed_outermost_first(bank):
    await bank.open_task("b")
    await bank.open_task("z", ancestors=("b",))
    await bank.open_task("a", ancestors=("b", "z"))
    await bank.open_task("other")

    assert await bank.ledger.family("b") == ["b", "z", "a"]
    assert await bank.ledger.family("z") == ["z", "a"]


async def test_closing_records_how_a_run_returned(bank, clock):
    await bank.open_task()
    clock.advance(seconds=3)

    await bank.close_task(output=("json", b"42"))

    record = await bank.ledger.task("task-1")
    assert record is not None
    assert (record.status, record.running_s) == ("completed", 2)
    assert (record.output, record.updated_at) == (("json", b"42"), clock.now())


@pytest.mark.parametrize(
    ("limit", "spent"),
    [
        (Money(100), Money(90)),
        (Seconds(1.5), Seconds(2)),
        (Count(40, "model calls"), Count(40, "model calls")),
        (Probability(0.9), Probability(0.5)),
        (None, None),
    ],
)
async def test_a_halt_comes_back_with_its_units(bank, limit, spent):
    halt = Halt("budget", "task", limit, spent, "plan", "add_budget")
    await bank.open_task()

    await bank.close_task(status="halted", halt=halt)

    record = await bank.ledger.task("task-1")
    assert record is not None
    assert (record.status, record.halt) == ("halted", halt)


async def test_a_takeover_adds_up_and_starts_anew(bank, clock):
    await bank.open_task()
    await bank.close_task(status="failed", error="boom", running_s=2)

    await bank.ledger.take_over(
        "task-1", owner="process-2", add_budget=Money(5), extend={"timeout": 300}
    )
    await bank.close_task(epoch=2, status="halted", halt=Halt("paused", "task"), running_s=3)
    clock.advance(seconds=3)
    record = await bank.ledger.take_over(
        "task-1", owner="process-3", add_budget=Money(6), extend={"timeout": 1, "model_calls": 20}
    )

    assert record == await bank.ledger.task("task-1")
    assert (record.status, record.epoch, record.running_s) == ("running", 3, 5)
    assert (record.halt, record.error, record.updated_at) == (None, None, clock.now())
    assert record.added_budget == Money(11)
    assert record.extensions == {"timeout": 301, "model_calls": 20}
    assert record.opening.owner == "process-3"
    assert record.opening.input_body == b'{"question": "why"}'


@pytest.mark.parametrize("growth", [{"add_budget": Money(-1)}, {"extend": {"timeout": -1}}])
async def test_a_takeover_cannot_take_away(bank, growth):
    await bank.open_task()

    with pytest.raises(ValueError, match="only add"):
        await bank.ledger.take_over("task-1", owner="process-2", **growth)

    assert await bank.ledger.epoch("task-1") == 1


async def test_an_owner_that_was_taken_over_is_fenced(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))
    await bank.ledger.take_over("task-1", owner="process-2")

    with pytest.raises(Fenced, match="taken over"):
        await bank.hold(1, demand(100))
    with pytest.raises(Fenced, match="taken over"):
        await bank.close_task()
    with pytest.raises(AlreadyEnded):
        await bank.settle(attempt, 1, reply=b"late")

    assert await bank.sums() == (0, 0, 40)
    await bank.settle(await bank.hold(60, demand(100), epoch=2), 60)
    (old, new) = (await bank.ledger.history("task-1")).attempts
    assert (old.end.end, old.end.certainty, old.end.reply) == ("expired", "unknown", None)
    assert (new.end.end, new.intent.epoch) == ("settled", 2)


async def test_a_takeover_fences_what_runs_inside(bank, demand):
    await bank.open_task("outer")
    await bank.open_task("inner", ancestors=("outer",))
    await bank.open_task("done", ancestors=("outer",))
    await bank.open_task("beside")
    held = [await bank.hold(10, demand(100), task=task) for task in ["outer", "inner", "beside"]]
    await bank.close_task("done", output=("json", b"1"))

    await bank.ledger.take_over("outer", owner="process-2")

    assert await bank.sums() == (0, 10, 20)
    with pytest.raises(Fenced):
        await bank.hold(1, demand(100), task="inner")
    assert await bank.ledger.epoch("inner") == 2
    assert await bank.ledger.epoch("done") == 1
    await bank.settle(held[2], 10)
    record = await bank.ledger.take_over("inner", owner="process-2")
    assert record.epoch == 3


async def test_a_completed_task_is_not_taken_over(bank):
    """It would run again without its journal, and so be paid again."""
    await bank.open_task()
    await bank.close_task(output=("json", b"42"))

    record = await bank.ledger.take_over("task-1", owner="process-2", add_budget=Money(5))

    assert (record.status, record.epoch, record.output) == ("completed", 1, ("json", b"42"))
    assert record == await bank.ledger.task("task-1")


async def test_a_run_that_returned_reserves_and_closes_no_more(bank, demand):
    await bank.open_task()
    await bank.close_task(status="halted", halt=Halt("paused", "task"))

    with pytest.raises(Fenced, match="returned"):
        await bank.hold(1, demand(100))
    with pytest.raises(Fenced, match="returned"):
        await bank.close_task()

    record = await bank.ledger.task("task-1")
    assert record is not None
    assert (record.status, record.running_s) == ("halted", 2)


async def test_a_signal_refuses_the_next_reserve_until_a_takeover(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(40, demand(100))

    await bank.ledger.signal("task-1", "cancelled")

    with pytest.raises(TaskSignalled) as caught:
        await bank.hold(1, demand(100))
    assert caught.value.reason == "cancelled"
    await bank.settle(attempt, 40)
    await bank.ledger.take_over("task-1", owner="process-2")
    await bank.hold(1, demand(100), epoch=2)


async def test_a_signal_reaches_what_runs_inside_and_what_starts_there(bank, demand):
    await bank.open_task("outer")
    await bank.open_task("inner", ancestors=("outer",))
    await bank.open_task("beside")

    await bank.ledger.signal("outer", "paused")
    await bank.open_task("later", ancestors=("outer",))

    for task in ["outer", "inner", "later"]:
        with pytest.raises(TaskSignalled):
            await bank.hold(1, demand(100), task=task)
    await bank.hold(1, demand(100), task="beside")


async def test_a_signal_to_a_task_that_does_not_run_leaves_it_as_it_is(bank):
    await bank.open_task()
    await bank.close_task()
    before = await bank.ledger.task("task-1")

    await bank.ledger.signal("task-1", "cancelled")

    assert await bank.ledger.task("task-1") == before


async def test_marks_count_once_and_decisions_by_their_last(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(1, demand(100))
    for key in ["a", "b", "a"]:
        bank.ledger.mark("task-1", "steps", key)
    bank.ledger.mark("task-1", "tool_calls", "a")
    bank.ledger.mark("task-2", "steps", "c")
    last = bank.decision(attempt, accepted=False, confidence=0.25, checks={"schema": False})
    bank.ledger.decide(bank.decision(attempt))
    bank.ledger.decide(last)

    history = await bank.ledger.history("task-1")

    assert history.marks == {"steps": {"a", "b"}, "tool_calls": {"a"}}
    assert history.decisions == {"key": last}
    await bank.open_task("task-2")


async def test_notes_are_written_though_nobody_waits_for_them(store, open_bank, demand):
    first = await open_bank(store)
    await first.open_task()
    first.ledger.decide(first.decision(await first.hold(1, demand(100))))
    first.ledger.mark("task-1", "steps", "a")
    await first.aclose()

    history = await (await open_bank(store)).ledger.history("task-1")

    assert history.marks == {"steps": {"a"}}
    assert list(history.decisions) == ["key"]


async def test_a_note_that_is_no_unicode_is_its_callers_error(bank):
    with pytest.raises(ValueError, match="key is"):
        bank.ledger.mark("task-1", "steps", "\ud800")
    with pytest.raises(ValueError, match="step is"):
        bank.ledger.decide(bank.decision("attempt-1", step="\ud800"))


async def test_attempts_come_in_the_order_of_their_intents(bank, demand):
    await bank.open_task()
    attempts = [await bank.hold(1, demand(100), attempt_id=name) for name in "cab"]
    for attempt in reversed(attempts):
        await bank.settle(attempt, 1)

    history = await bank.ledger.history("task-1")

    assert [attempt.intent.attempt_id for attempt in history.attempts] == ["c", "a", "b"]


async def test_a_ledger_that_is_not_open_says_so(bank, demand):
    await bank.aclose()
    await bank.ledger.aclose()

    with pytest.raises(LedgerUnavailable, match="open"):
        await bank.hold(1, demand(100))
    with pytest.raises(LedgerUnavailable, match="open"):
        bank.ledger.mark("task-1", "steps", "a")


async def test_demands_are_read_once_and_not_changed(bank, demand):
    asked: list[Demand] = [demand(100)]
    await bank.open_task()

    await bank.hold(1, *asked)

    assert asked == [demand(100)]
