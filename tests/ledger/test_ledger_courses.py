"""How tasks went, attempt by attempt, for those who plan by it."""

from dataclasses import replace

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.courses import Spent

WRITER = Scope("acme", "research", "writer", "of any id", "research")


async def attempt(bank, task, cost, **fields):
    attempt_id = await bank.hold(50, task=task, **fields)
    await bank.settle(attempt_id, cost, overrun=Money(1), seconds=cost / 10)


def spent(task, cost, **fields):
    made = {"task_id": task, "is_own": True, "step": "plan", "kind": "ask", "key": "key"}
    made |= {"model": "small", "reserve": 50, "cost": cost + 1, "seconds": cost / 10}
    return Spent(**{**made, **fields})


async def test_the_courses_of_the_newest_completed_tasks_are_told_in_the_order_of_their_attempts(
    bank,
):
    tasks = {
        "old": {},
        "b": {},
        "a": {"ancestors": ("b",)},
        "beside": {"agent": "reader"},
        "elsewhere": {"tenant": "other"},
        "audit": {"tags": {"upkeep": "audit"}},
        "runs": {},
    }
    for task, fields in tasks.items():
        await bank.open_task(task, **fields)
        bank.clock.advance(seconds=1)
    await attempt(bank, "b", 5)
    await attempt(bank, "old", 6)
    await attempt(bank, "a", 7, kind="retry", step="answer", key="other", model="large")
    for task in ("beside", "elsewhere", "audit", "runs"):
        await attempt(bank, task, 8)
    await attempt(bank, "b", 9)
    await bank.hold(50, task="b")
    for task in tasks:
        if task != "runs":
            await bank.close_task(task)

    inner = {"kind": "retry", "step": "answer", "key": "other", "model": "large"}
    assert await bank.ledger.courses(WRITER, 2) == [
        spent("b", 5),
        spent("a", 7, **inner),
        spent("b", 7, is_own=False, **inner),
        spent("b", 9),
    ], "an attempt inside counts in both, what is open in none"
    assert await bank.ledger.courses(WRITER, 1) == [spent("a", 7, **inner)]
    assert [one.task_id for one in await bank.ledger.courses(WRITER, 3)] == [
        "b",
        "old",
        "a",
        "b",
        "b",
    ]
    assert await bank.ledger.courses(replace(WRITER, agent="nobody"), 3) == []
    assert await bank.ledger.rests(WRITER, "plan", 2) == [Money(6 + 8 + 10)]
    assert await bank.ledger.rests(WRITER, "answer", 2) == [Money(8)], "where it was asked itself"
