"""The ledger's store goes away and comes back: nothing is spent meanwhile, and nothing is lost."""

import asyncio
import sqlite3
from contextlib import suppress
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy

from orchestrator import LedgerUnavailable, Money, step, tool_cost
from orchestrator.core.events import LedgerAway
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.ledger.stores.store import OutcomeUnknown


class State(TypedDict, total=False):
    out: str


class Outage:
    """Fails what a store does while it lasts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_on = False
        self.tries = 0
        self.after_commit = False
        begin, commit = SqliteStore.begin, SqliteStore.commit

        def failing_begin(store: SqliteStore, *, write: bool) -> None:
            if self.is_on:
                self.tries += 1
                message = "database or disk is full"
                raise sqlite3.OperationalError(message)
            begin(store, write=write)

        def failing_commit(store: SqliteStore) -> None:
            commit(store)
            if self.after_commit:
                self.after_commit, self.is_on = False, True
                message = "cut during the commit"
                raise OutcomeUnknown(message)

        monkeypatch.setattr(SqliteStore, "begin", failing_begin)
        monkeypatch.setattr(SqliteStore, "commit", failing_commit)

    async def last(self, tries: int) -> None:
        """End it once so many were refused."""
        while self.tries < tries:
            await asyncio.sleep(0.01)
        self.is_on = False


@pytest.fixture
def outage(monkeypatch):
    return Outage(monkeypatch)


async def node(state: State) -> State:
    return {"out": (await step("s").ask("hi")).text}


GRAPH = StateGraph(State).add_node("node", node).add_edge(START, "node")


async def soundness(orchestrator) -> list[str | None]:
    ledger = orchestrator._services.ledger
    assert (await ledger.verify()).is_sound
    attempts = (await ledger.history("t")).attempts
    return [one.end and one.end.end for one in attempts]


async def test_what_is_in_flight_is_settled_when_the_store_is_back(stage, outage):
    def answer(request):
        outage.is_on = True
        return "ok"

    async with stage.orchestrator(script=answer) as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(GRAPH, {}, agent="a", task_id="t", timeout="1m")
        )
        await outage.last(tries=3)
        result = await running

        assert (result.status, result.output) == ("completed", {"out": "ok"})
        assert stage.asked == ["hi"]
        assert await soundness(orchestrator) == ["settled"]
    assert [type(one.error) for one in stage.events if isinstance(one, LedgerAway)][:1] == [str]


async def test_no_attempt_starts_while_it_is_away_and_the_task_waits(stage, outage):
    async def away_then_ask(state: State) -> State:
        outage.is_on = True
        return await node(state)

    graph = StateGraph(State).add_node("node", away_then_ask).add_edge(START, "node")
    async with stage.orchestrator() as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph, {}, agent="a", task_id="t"))
        while outage.tries < 4:
            await asyncio.sleep(0.01)
            assert stage.asked == []
        outage.is_on = False
        result = await running
        assert result.status == "completed"
        assert await soundness(orchestrator) == ["settled"]


async def test_it_waits_no_longer_than_its_deadline(stage, outage):
    async def away_then_ask(state: State) -> State:
        outage.is_on = True
        return await node(state)

    graph = StateGraph(State).add_node("node", away_then_ask).add_edge(START, "node")
    async with stage.orchestrator() as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(graph, {}, agent="a", task_id="t", timeout=0.5)
        )
        await asyncio.sleep(1)
        outage.is_on = False
        result = await running

    assert (result.status, result.halt.reason) == ("halted", "timeout")
    assert stage.asked == []


@pytest.mark.parametrize("word", ["pause", "cancel"])
@pytest.mark.parametrize("before", ["", "budgets: {task: {limit: 1 USD, at: {50%: economize}}}"])
async def test_who_waits_for_it_before_an_ask_notices_a_halt_at_once(stage, outage, word, before):
    refused = asyncio.Event()

    async def away_then_ask(state: State) -> State:
        outage.is_on = not refused.is_set()
        try:
            return await node(state)
        except BaseException:
            refused.set()
            raise

    graph = StateGraph(State).add_node("node", away_then_ask).add_edge(START, "node")
    async with stage.orchestrator(before) as orchestrator:
        running = asyncio.create_task(orchestrator.run(graph, {}, agent="a", task_id="t"))
        while outage.tries < 3:
            await asyncio.sleep(0.01)
        await getattr(orchestrator, word)("t")
        await asyncio.wait_for(refused.wait(), timeout=30)
        assert outage.is_on, "it did not wait for the store"
        outage.is_on = False
        halted = await running
        assert (halted.status, halted.halt.reason) == (
            "halted",
            {"pause": "paused"}.get(word, "cancelled"),
        )
        assert stage.asked == []
        assert (await orchestrator.resume("t")).output == {"out": "ok"}


@pytest.mark.parametrize("is_swallowed", [False, True])
async def test_a_ledger_that_is_closed_under_a_task_stops_it_at_once(stage, is_swallowed):
    async def closing(state: State) -> State:
        await orchestrator._services.ledger.aclose()
        with suppress(*[Exception] * is_swallowed):
            return await node(state)
        return {"out": "went on"}

    retry = RetryPolicy(max_attempts=3, initial_interval=0.01)
    graph = StateGraph(State).add_node("node", closing, retry_policy=retry).add_edge(START, "node")
    async with stage.orchestrator() as orchestrator:
        with pytest.raises(LedgerUnavailable, match="not open"):
            await orchestrator.run(graph, {}, agent="a", task_id="t")
    assert stage.asked == []


async def test_an_end_whose_answer_was_lost_is_booked_once(stage, outage):
    def answer(request):
        outage.after_commit = True
        return "ok"

    async with stage.orchestrator(script=answer) as orchestrator:
        running = asyncio.create_task(orchestrator.run(GRAPH, {}, agent="a", task_id="t"))
        await outage.last(tries=2)
        result = await running
        assert result.status == "completed"
        assert await soundness(orchestrator) == ["settled"]
    assert stage.asked == ["hi"]


async def test_an_owner_taken_for_dead_meanwhile_says_what_it_cost(stage, outage):
    """The hold expires, in another process, before the owner could tell of its end."""

    def answer(request):
        outage.is_on = True
        return "ok"

    async with stage.orchestrator(script=answer) as orchestrator:
        running = asyncio.create_task(orchestrator.run(GRAPH, {}, agent="a", task_id="t"))
        while not outage.tries:
            await asyncio.sleep(0.01)
        with sqlite3.connect(stage.folder / "ledger.db") as db:
            db.execute(
                "INSERT INTO ends (seq, kind, cost, overrun, certainty, seconds, at_us)"
                " SELECT seq, 'expired', reserve, 0, 'unknown', 1, at_us FROM attempts"
            )
            db.execute("UPDATE accounts SET disputed = reserved, reserved = 0")
            db.execute("DELETE FROM holds")
        db.close()
        outage.is_on = False
        result = await running

        assert result.status == "completed"
        assert result.cost.unknown == 0
        assert await soundness(orchestrator) == ["expired"]
        assert await orchestrator._services.ledger.in_doubt() == []
    assert result.cost.total < Money.from_usd("0.01")


async def test_a_tool_waits_for_it_before_and_after_its_call(stage, outage):
    called = []

    @tool_cost("0.01 USD")
    async def search(query):
        called.append(query)
        if len(called) == 1:
            outage.is_on = True
        return "found"

    async def searches(state: State) -> State:
        await search("goes away at its end")
        outage.is_on = True
        return {"out": await search("is away when it begins")}

    graph = StateGraph(State).add_node("node", searches).add_edge(START, "node")
    async with stage.orchestrator() as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(graph, {}, agent="a", task_id="t", timeout="1m")
        )
        await outage.last(tries=3)
        await outage.last(tries=outage.tries + 3)
        result = await running

        assert (result.status, result.output) == ("completed", {"out": "found"})
        assert result.cost.total == Money.from_usd("0.02")
        assert len(called) == 2
        assert await soundness(orchestrator) == ["settled", "settled"]
