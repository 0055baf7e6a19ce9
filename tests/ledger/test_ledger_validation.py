"""One caller's bad value is that caller's error, and nobody else's."""

import asyncio
from dataclasses import replace
from math import inf, nan

import pytest

from orchestrator.core.halt import Count, Halt
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import AttemptEnd, TaskClosing, TaskOpening

BAD = "\ud800"
SCOPE = Scope(org="acme", team="research", agent="writer", task_id="task-2", tenant="research")


def opening(bank, **fields):
    made = {
        "scope": SCOPE,
        "owner": "process-1",
        "graph": "graphs:answer",
        "policy": "research.yaml",
        "input_type": "json",
        "input_body": b"{}",
        "at": bank.clock.now(),
        **fields,
    }
    return bank.ledger.open_task(TaskOpening(**made))


async def ended(bank, **fields):
    await bank.settle(await bank.hold(1), 0, **fields)


async def noted(note, *given):
    note(*given)


def taught(bank, **fields):
    made = {"tenant": "t", "kind": "choice", "task_id": "task-1", "step": "plan", "subject": "key"}
    made |= {"body": {}, "at": bank.clock.now(), **fields}
    return bank.ledger.teach([Lesson(**made)])


WRONG = {
    "user": lambda bank: opening(bank, scope=replace(SCOPE, user=BAD)),
    "task_id": lambda bank: opening(bank, scope=replace(SCOPE, task_id=BAD)),
    "ancestors": lambda bank: opening(bank, scope=replace(SCOPE, ancestors=(BAD,))),
    "tags": lambda bank: opening(bank, scope=replace(SCOPE, tags={"k": BAD})),
    "budget": lambda bank: opening(bank, budget=Money(10**20)),
    "timeout": lambda bank: opening(bank, timeout_s=nan),
    "time zone": lambda bank: opening(bank, at=bank.clock.now().replace(tzinfo=None)),
    "add_budget": lambda bank: bank.ledger.take_over("task-1", owner="b", add_budget=Money(10**20)),
    "extend": lambda bank: bank.ledger.take_over("task-1", owner="b", extend={"timeout": inf}),
    "owner": lambda bank: bank.ledger.take_over("task-1", owner=BAD),
    "running_s": lambda bank: bank.close_task(running_s=nan),
    "output": lambda bank: bank.close_task(output=(BAD, b"")),
    "the halt": lambda bank: bank.close_task(
        status="halted", halt=Halt("tokens", "task", spent=Count(10**30, "tokens"))
    ),
    "task_id ": lambda bank: bank.ledger.signal(BAD, "paused"),
    "kind": lambda bank: noted(bank.ledger.mark, "task-1", BAD, "key"),
    "checks": lambda bank: noted(bank.ledger.decide, bank.decision("a", checks={BAD: True})),
    "confidence": lambda bank: noted(bank.ledger.decide, bank.decision("a", confidence=10**400)),
    "confidence ": lambda bank: noted(bank.ledger.decide, bank.decision("a", confidence=-0.1)),
    "usage": lambda bank: ended(bank, usage=Usage(10**30, 1)),
    "seconds": lambda bank: ended(bank, seconds=nan),
    "saved_seconds": lambda bank: ended(bank, saved_seconds=inf),
    "token_bound": lambda bank: bank.hold(1, token_bound=10**30),
    "origin": lambda bank: bank.hold(1, origin=f"eu/{BAD}"),
    "provider_model": lambda bank: bank.hold(1, provider_model=BAD),
    "body": lambda bank: taught(bank, body={"signal": object()}),
    "subject": lambda bank: taught(bank, subject=BAD),
    "learned": lambda bank: taught(bank, at=bank.clock.now().replace(tzinfo=None)),
}


@pytest.mark.parametrize("field", WRONG)
async def test_a_bad_value_names_its_field_and_fails_nobody_else(bank, demand, field):
    await bank.open_task()
    first = await bank.hold(60, demand(100), attempt_id="first")
    waiter = await bank.waits(bank.hold(50, demand(100), attempt_id="waiter"))

    outcomes = await asyncio.gather(
        bank.hold(10, attempt_id="before"),
        WRONG[field](bank),
        bank.hold(10, attempt_id="after"),
        return_exceptions=True,
    )
    await bank.settle(first, 20)

    assert [outcomes[0], outcomes[2]] == ["before", "after"]
    assert isinstance(outcomes[1], ValueError)
    assert field.strip() in str(outcomes[1])
    assert await waiter == "waiter"
    assert (await bank.ledger.task("task-1")).status == "running"


async def test_a_name_in_any_language_is_kept(bank, demand, team):
    names = {"team": "研究", "user": "Zoë", "tenant": "Ωmega", "tags": {"größe": "小"}}
    scope = await bank.open_task("tâche", **names)
    held = await bank.hold(60, demand(100, replace(team, identity="acme/研究")), task="tâche")

    assert (await bank.ledger.task("tâche")).opening.scope == scope
    (attempt,) = (await bank.ledger.history("tâche")).attempts
    assert attempt.intent.attempt_id == held
    assert await bank.sums(replace(team, identity="acme/研究")) == (0, 60, 0)


async def test_an_account_that_is_no_text_is_refused(bank, demand, team):
    await bank.open_task()

    with pytest.raises(ValueError, match="account"):
        await bank.hold(1, demand(100, replace(team, identity=BAD)))


async def test_budgets_added_over_and_over_stay_within_what_can_be_stored(bank):
    await bank.open_task()
    await bank.ledger.take_over("task-1", owner="b", add_budget=Money(10**18))

    with pytest.raises(ValueError, match="earlier resumes"):
        await bank.ledger.take_over("task-1", owner="c", add_budget=Money(1))

    record = await bank.ledger.task("task-1")
    assert (record.added_budget, record.opening.owner) == (Money(10**18), "b")


async def test_what_only_describes_is_made_storable(bank):
    """The error of a task may quote anything: a file's name that is no text, a model's words."""
    await opening(bank, graph=f"<{BAD}>", policy=f"{BAD}.yaml")
    halt = Halt("no_model", "task", step=f"s{BAD}", detail=f"says {BAD}")
    closing = TaskClosing(
        task_id="task-2",
        epoch=1,
        status="failed",
        running_s=1,
        at=bank.clock.now(),
        error=f"cannot read {BAD}.txt",
        halt=halt,
    )

    await bank.ledger.close_task(closing)

    record = await bank.ledger.task("task-2")
    assert (record.opening.graph, record.opening.policy) == ("<?>", "?.yaml")
    assert record.error == "cannot read ?.txt"
    assert record.halt == replace(halt, step="s?", detail="says ?")


async def test_the_bound_of_an_attempts_tokens_is_kept(bank):
    await bank.open_task()
    await bank.hold(1, token_bound=1234)

    (attempt,) = (await bank.ledger.history("task-1")).attempts

    assert attempt.intent.token_bound == 1234


async def test_what_is_free_ends_as_itself(bank):
    await bank.open_task()
    ended = AttemptEnd(
        attempt_id="other",
        end="settled",
        cost=Money.ZERO,
        certainty="known",
        seconds=0.0,
        at=bank.clock.now(),
    )

    with pytest.raises(ValueError, match="attempt one cannot end as other; give both one id"):
        bank.ledger.free(bank.intent(0, attempt_id="one"), ended, None)

    assert (await bank.ledger.history("task-1")).attempts == ()
