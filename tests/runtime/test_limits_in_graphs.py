"""Limits, deadlines, pause and cancel as a graph meets them."""

import asyncio
import operator
import threading
import time
from typing import Annotated, TypedDict

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from orchestrator import Money, step
from orchestrator.models.scripted import ScriptedReply
from orchestrator.runtime import drive
from orchestrator.runtime.run.task_run import TaskRun


class State(TypedDict, total=False):
    done: Annotated[list[str], operator.add]


def one_node(body) -> StateGraph:
    return StateGraph(State).add_node("node", body).add_edge(START, "node")


def endless() -> StateGraph:
    async def again(state: State) -> State:
        return {"done": ["x"]}

    graph = StateGraph(State).add_node("again", again).add_edge(START, "again")
    return graph.add_conditional_edges("again", lambda _: "again", ["again"])


async def test_a_loop_stops_at_repeats(stage):
    async def loops(state: State) -> State:
        while True:
            await step("s").ask("the same again")

    async with stage.orchestrator("limits: {repeats: 3}") as orchestrator:
        result = await orchestrator.run(one_node(loops), {"done": []}, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "repeats")
    assert len(stage.asked) == 3


async def test_a_runaway_plan_stops_at_steps_and_goes_on_when_extended(stage):
    async with stage.orchestrator("limits: {steps: 7}") as orchestrator:
        result = await orchestrator.run(endless(), {"done": []}, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "steps")
        assert result.partial["done"] == ["x"] * 7
        more = await orchestrator.resume("t", extend={"steps": 3})
    assert more.partial["done"] == ["x"] * 10


async def test_model_calls_stop_where_they_should(stage):
    async def asks(state: State) -> State:
        replies = await asyncio.gather(*(step("s").ask(f"{n}") for n in range(30)))
        return {"done": [one.text for one in replies]}

    async with stage.orchestrator("limits: {model_calls: 12}") as orchestrator:
        result = await orchestrator.run(one_node(asks), {"done": []}, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "model_calls")
        assert len(stage.asked) == 12
        more = await orchestrator.resume("t", extend={"model_calls": 18})
    assert more.status == "completed"
    assert len(stage.asked) == 30


async def test_tokens_stop_the_task_once_they_are_used(stage):
    async def asks(state: State) -> State:
        for number in range(30):
            await step("s").ask(f"{number}")
        return {"done": []}

    async with stage.orchestrator("limits: {tokens: 100}") as orchestrator:
        result = await orchestrator.run(one_node(asks), {"done": []}, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "tokens")
    assert len(stage.asked) == 5  # 20 tokens each


async def test_tool_calls_stop_where_they_should(stage):
    called = []

    @tool
    def search(query: str) -> str:
        """Search."""
        called.append(query)
        return query

    calls = [
        {"name": "search", "args": {"query": str(n)}, "id": str(n), "type": "tool_call"}
        for n in range(5)
    ]
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([search]))
    graph.add_edge(START, "tools")
    given = {"messages": [AIMessage(content="", tool_calls=calls)]}
    async with stage.orchestrator("limits: {tool_calls: 3}") as orchestrator:
        result = await orchestrator.run(graph, given, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "tool_calls")
        assert len(called) <= 3
        more = await orchestrator.resume("t", extend={"tool_calls": 10})
    assert more.status == "completed"


async def test_a_hung_provider_is_cut_at_the_deadline_and_booked_at_the_bound(stage):
    async def asks(state: State) -> State:
        return {"done": [(await step("s").ask("q")).text]}

    slow = ScriptedReply(text="late", delay_s=60)
    async with stage.orchestrator("limits: {timeout: 300ms}", script=[slow, "ok"]) as orchestrator:
        started = time.monotonic()
        result = await orchestrator.run(one_node(asks), {"done": []}, agent="a", task_id="t")
        assert time.monotonic() - started < 10
        assert (result.status, result.halt.reason) == ("halted", "timeout")
        assert [one.certainty for one in result.attempts] == ["estimated"]
        assert result.cost.estimated > Money.ZERO
        more = await orchestrator.resume("t", extend={"timeout": "1m"})
    assert more.output == {"done": ["ok"]}


async def test_an_attempt_that_takes_too_long_makes_way_for_the_next_model(stage):
    async def asks(state: State) -> State:
        return {"done": [(await step("s").ask("q")).model]}

    script = {"small": ScriptedReply(text="late", delay_s=60), "large": "ok"}
    limits = "limits: {attempt_timeout: 200ms}"
    async with stage.orchestrator(limits, script=script) as orchestrator:
        result = await orchestrator.run(one_node(asks), {"done": []}, agent="a")
    assert result.output == {"done": ["large"]}
    assert [one.certainty for one in result.attempts] == ["estimated", "known"]


async def test_a_sleeping_sync_tool_does_not_hold_the_deadline(stage):
    let_go = threading.Event()

    def sleeps(state: State) -> State:
        let_go.wait(30)
        return {"done": ["too late"]}

    async with stage.orchestrator("limits: {timeout: 300ms}") as orchestrator:
        started = time.monotonic()
        result = await orchestrator.run(one_node(sleeps), {"done": []}, agent="a")
        assert time.monotonic() - started < 10
        let_go.set()
    assert (result.status, result.halt.reason) == ("halted", "timeout")


async def test_a_node_that_ignores_cancellation_is_left_behind(stage):
    ended = asyncio.Event()

    async def stubborn(state: State) -> State:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        ended.set()
        return {"done": ["too late"]}

    async def last(state: State) -> State:
        return {"done": ["never"]}

    graph = StateGraph(State).add_sequence([stubborn, last]).add_edge(START, "stubborn")
    async with stage.orchestrator("limits: {timeout: 200ms}") as orchestrator:
        result = await orchestrator.run(graph, {"done": []}, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "timeout")
        assert result.partial.get("done", []) == []
        await ended.wait()
        await asyncio.sleep(0.1)
        record = await orchestrator._tasks.find("t")
    assert record.status == "halted"


async def test_pause_lets_what_is_on_the_wire_end_and_resumes(stage):
    async def asks(state: State) -> State:
        return {"done": [(await step("s").ask(f"{n}")).text for n in range(5)]}

    slow = ScriptedReply(text="ok", delay_s=0.2)
    async with stage.orchestrator(script=lambda _: slow) as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(one_node(asks), {"done": []}, agent="a", task_id="t")
        )
        while len(stage.asked) < 2:
            await asyncio.sleep(0.01)
        await orchestrator.pause("t")
        result = await running
        assert (result.status, result.halt.reason) == ("halted", "paused")
        assert [one.certainty for one in result.attempts] == ["known", "known"]
        more = await orchestrator.resume("t")
    assert more.status == "completed"
    assert stage.asked == ["0", "1", "2", "3", "4"]


async def test_cancel_cuts_the_wire_and_resumes(stage):
    async def asks(state: State) -> State:
        return {"done": [(await step("s").ask(f"{n}")).text for n in range(3)]}

    script = [spends_quickly(), ScriptedReply(text="late", delay_s=60), *["ok"] * 2]
    async with stage.orchestrator(script=script) as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(one_node(asks), {"done": []}, agent="a", task_id="t")
        )
        while len(stage.asked) < 2:
            await asyncio.sleep(0.01)
        await orchestrator.cancel("t")
        result = await running
        assert (result.status, result.halt.reason) == ("halted", "cancelled")
        assert [one.certainty for one in result.attempts] == ["known", "estimated"]
        more = await orchestrator.resume("t")
    assert more.status == "completed"
    assert stage.asked == ["0", "1", "1", "2"]


def spends_quickly() -> ScriptedReply:
    return ScriptedReply(text="ok")


async def test_forty_sync_nodes_wait_in_langgraphs_pool_without_deadlock(stage):
    def asks(state: State) -> State:
        return {"done": [step("s").ask_sync("q").text]}

    graph = StateGraph(State)
    for number in range(40):
        graph.add_node(f"n{number}", asks)
        graph.add_edge(START, f"n{number}")
    slow = ScriptedReply(text="ok", delay_s=0.02)
    budget = "budgets: {task: {limit: 0.005 USD}}"
    async with stage.orchestrator(budget, script=lambda _: slow) as orchestrator:
        result = await orchestrator.run(graph, {"done": []}, agent="a")
    assert result.status == "completed"
    assert result.output["done"] == ["ok"] * 40


async def test_an_ask_the_user_cancels_is_ended_and_journaled_by_the_runtime(stage):
    async def impatient(state: State) -> State:
        try:
            await asyncio.wait_for(step("s").ask("q"), 0.05)
        except TimeoutError:
            return {"done": ["impatient"]}
        return {"done": ["patient"]}

    slow = ScriptedReply(text="ok", delay_s=0.3)
    async with stage.orchestrator(script=lambda _: slow) as orchestrator:
        result = await orchestrator.run(one_node(impatient), {"done": []}, agent="a")
    assert result.output == {"done": ["impatient"]}
    assert [one.certainty for one in result.attempts] == ["known"]
    assert result.cost.known > Money.ZERO


async def test_time_adds_up_over_resumes_and_is_counted_once(stage):
    async def rests(state: State) -> State:
        await asyncio.sleep(0.2)
        return {"done": [(await step("s").ask(f"{len(state['done'])}")).text]}

    graph = one_node(rests).add_edge("node", "other").add_node("other", rests)
    async with stage.orchestrator("limits: {model_calls: 1}") as orchestrator:
        await orchestrator.run(graph, {"done": []}, agent="a", task_id="t")
        first = (await orchestrator._tasks.find("t")).running_s
        assert 0.4 <= first < 2
        for _ in range(3):
            await orchestrator.resume("t")
        record = await orchestrator._tasks.find("t")
    assert first + 0.6 <= record.running_s < first + 3


class Turns:
    """In place of asyncio: who waits for a run to end waits so many turns of the loop at most.

    Once it is cancelled it is left behind at once, as if the loop had been busy with another.
    """

    def __init__(self, turns):
        self.turns = turns

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def wait(self, tasks, return_when=None, **_):
        for _ in range(self.turns if return_when else 0):
            if not any(one.done() for one in tasks):
                await asyncio.sleep(0)


async def test_a_deadline_at_any_moment_of_a_start_is_a_timeout(stage, monkeypatch):
    async def asks(state: State) -> State:
        return {"done": [(await step("s").ask("q")).text]}

    async def land_late(run):
        await asyncio.sleep(0.01)  # what was left behind ends meanwhile

    monkeypatch.setattr(TaskRun, "land", land_late)
    seen = set()
    async with stage.orchestrator() as orchestrator:
        for turns in range(30):
            monkeypatch.setattr(drive, "asyncio", Turns(turns))
            result = await orchestrator.run(one_node(asks), {"done": []}, agent="a", timeout="1h")
            seen.add((result.status, result.halt and result.halt.reason))
    assert seen <= {("halted", "timeout"), ("completed", None)}
    assert ("halted", "timeout") in seen
