"""Code that breaks inside a task: nothing stays held, and the error is told."""

import asyncio
import operator
import threading
import time
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph

from orchestrator import LedgerUnavailable, step
from orchestrator.testing import ScriptedModel
from orchestrator.testing.fake_clock import FakeClock
from orchestrator.testing.upstream.faults import Fault


class State(TypedDict, total=False):
    done: Annotated[list[Any], operator.add]
    anything: Any


GIVEN = {"done": []}


def one_node(body) -> StateGraph:
    return StateGraph(State).add_node("node", body).add_edge(START, "node")


def asks(count: int) -> StateGraph:
    async def node(state: State) -> State:
        return {"done": [(await step("s").ask(f"<{number}>")).model for number in range(count)]}

    return one_node(node)


def nothing_is_held(ground) -> None:
    assert ground.in_flight() == set()
    assert {one.certainty for one in ground.spendings()} <= {"known", "estimated"}


# Code that breaks inside


async def test_a_reader_that_leaves_its_stream_with_its_loop_leaves_nothing_open(ground):
    """A plain function may run a loop of its own and stop it in the middle of a stream."""
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.05))

    def node(state: State) -> State:
        async def first_piece() -> str:
            async for piece in step("s").stream("<1>"):
                return piece.text
            return ""

        return {"done": [asyncio.run(first_piece())]}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
    assert result.status == "completed", result.error
    assert [one.certainty for one in result.attempts] == ["known"]
    nothing_is_held(ground)
    assert len(ground.upstream.log) == 1


async def test_a_body_left_behind_by_gather_asks_in_vain(ground):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.05))
    heard = []

    async def slow_body() -> None:
        await asyncio.sleep(0.2)
        try:
            await step("s").ask("<2>")
        except BaseException as error:
            heard.append(type(error).__name__)
            raise

    async def node(state: State) -> State:
        async def fails() -> None:
            await step("s").ask("<1>")
            raise KeyError

        try:
            await asyncio.gather(slow_body(), fails())
        except KeyError:
            return {"done": ["went on"]}
        return {}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
        assert result.output["done"] == ["went on"]
        await asyncio.sleep(0.3)
    assert heard == ["Halted"]
    assert ground.requests() == {"<1>": 1}
    nothing_is_held(ground)


async def test_a_ledger_that_cannot_record_stops_the_task_with_that_error(ground):
    """It is waited for, five minutes at most, which pass at once here."""
    async with ground.orchestrator(clock=FakeClock()) as orchestrator:

        async def node(state: State) -> State:
            await step("s").ask("<1>")
            store = orchestrator._opened()._services.ledger._store

            def full(*_: Any) -> None:
                message = "database or disk is full"
                raise OSError(message)

            store.write = full
            await step("s").ask("<2>")
            return {}

        with pytest.raises(LedgerUnavailable, match="disk is full"):
            await orchestrator.run(one_node(node), GIVEN, agent="a")
        assert ground.requests() == {"<1>": 1}, "nothing is spent that cannot be recorded"
        del orchestrator._opened()._services.ledger._store.write


async def test_a_tool_that_sleeps_past_the_deadline_is_left_behind(ground):
    woken = threading.Event()

    @tool
    def sleeps(seconds: int) -> str:
        """Sleep."""
        woken.wait(seconds)
        return "too late"

    async def node(state: State) -> State:
        await step("s").ask("<1>")
        return {"done": [await sleeps.ainvoke({"seconds": 60})]}

    async with ground.orchestrator() as orchestrator:
        began = time.monotonic()
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", timeout="1s")
        assert time.monotonic() - began < 15
        woken.set()
    assert (result.status, result.halt.reason) == ("halted", "timeout")
    assert result.partial["done"] == []


async def test_an_async_tool_that_sleeps_is_cancelled_at_the_deadline(ground):
    cancelled = []

    @tool
    async def sleeps(seconds: int) -> str:
        """Sleep."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(seconds)
            raise
        return "too late"

    async def node(state: State) -> State:
        await step("s").ask("<1>")
        return {"done": [await sleeps.ainvoke({"seconds": 60})]}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", timeout="1s", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "timeout")
        assert cancelled == [60]
        assert len(ground.upstream.log) == 1


async def test_a_client_that_breaks_its_contract_leaves_nothing_open(ground):
    async def node(state: State) -> State:
        return {"done": [(await step("s").ask("<1>")).text]}

    async with ground.orchestrator(client=ScriptedModel([KeyError("a bug"), "fine"])) as it:
        result = await it.run(one_node(node), GIVEN, agent="a", task_id="t")
        assert result.status == "failed"
        assert "a bug" in result.error
        assert [one.certainty for one in result.attempts] == ["estimated"]
        assert result.cost.estimated == ground.bound(), "it may have spent that"
        nothing_is_held(ground)
        assert (await it.resume("t")).status == "completed"
