"""The memo inside of tasks: what it answers, what it never answers, and what the ledger says of it."""

import asyncio
import sqlite3
from typing import TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import Money, step
from orchestrator.core.events import MemoFaulted, MemoServed
from orchestrator.ledger.reading import LedgerReader
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.testing.fake_clock import FakeClock

MEMO = "steps: {plan: {memo: {fresh_for: 1h, share: team}}}"
PRICE = Money(20_000)
"""Of one answer on this stage."""


class State(TypedDict, total=False):
    question: str
    answer: str
    from_memo: bool
    cost: Money


def asking(name: str = "plan", **how) -> StateGraph:
    """A graph that asks its question of one step."""

    async def ask(state: State) -> State:
        reply = await step(name).ask(state["question"], **how)
        return {"answer": reply.text, "from_memo": reply.from_memo, "cost": reply.cost}

    return StateGraph(State).add_node("ask", ask).set_entry_point("ask")


async def ask(orchestrator, question="q", *, graph=None, agent="a", **who):
    return await orchestrator.run(graph or asking(), {"question": question}, agent=agent, **who)


def rows(stage, path=None):
    with LedgerReader(path or stage.folder / "ledger.db") as reader:
        return list(reader.attempts())


async def test_a_hit_costs_nothing_in_a_row_of_its_own_that_says_what_it_saved(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        paid = await ask(orchestrator)
        hit = await ask(orchestrator)
    assert stage.asked == ["q"]
    assert paid.output == {"question": "q", "answer": "ok", "from_memo": False, "cost": PRICE}
    assert hit.output == {"question": "q", "answer": "ok", "from_memo": True, "cost": Money.ZERO}
    assert (hit.cost.total, hit.attempts) == (Money.ZERO, ())
    first, second = rows(stage)
    assert (first.kind, first.cost, first.saved) == ("ask", PRICE, Money.ZERO)
    assert (second.kind, second.cost, second.saved) == ("memo", Money.ZERO, PRICE)
    assert (second.task_id, second.step, second.certainty) == (hit.task_id, "plan", "known")
    (served,) = [event for event in stage.events if isinstance(event, MemoServed)]
    assert (served.state, served.saved) == ("fresh", PRICE)
    with LedgerReader(stage.folder / "ledger.db") as reader:
        (total,) = reader.totals(["step"])
    assert (total.attempts, total.hits, total.cost, total.saved) == (1, 1, PRICE, PRICE)


async def test_without_a_memo_each_task_asks(stage):
    async with stage.orchestrator("steps: {plan: {memo: off}}") as orchestrator:
        for _ in range(2):
            await ask(orchestrator)
    assert stage.asked == ["q", "q"]
    assert not (stage.folder / "memo").exists()
