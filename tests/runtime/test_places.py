"""An ask is known by where it stands in the graph, also where a graph hides it."""

import asyncio
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy, interrupt

from orchestrator import OrchestratorError, ResumeError, step
from orchestrator.models.scripted import ScriptedReply


class State(TypedDict, total=False):
    out: Any


def one(body, **options) -> StateGraph:
    return StateGraph(State).add_node("node", body, **options).add_edge(START, "node")


@pytest.mark.parametrize(
    ("own", "config"),
    [
        ({}, {"configurable": {"thread_id": "u1"}}),
        ({"checkpointer": InMemorySaver()}, {"configurable": {"thread_id": "u1"}}),
        (
            {"checkpointer": InMemorySaver()},
            {"callbacks": [], "configurable": {"thread_id": "u1"}},
        ),
        ({}, {"configurable": {"thread_id": "u1", "checkpoint_ns": ""}}),
    ],
    ids=["thread", "saver and thread", "callbacks replaced", "namespace reset"],
)
async def test_a_refusal_below_a_graph_with_its_own_thread_reaches_the_node_above(
    stage, own, config
):
    async def swallows(state: State) -> State:
        try:
            await step("x").ask("1")
            await step("x").ask("2")
        except BaseException:
            return {"out": "wrong"}
        return {"out": "right"}

    inner = one(swallows).compile(**own)

    async def outer(state: State) -> State:
        return {"out": (await inner.ainvoke({"out": 0}, config))["out"]}

    async with stage.orchestrator("limits: {model_calls: 1}") as orchestrator:
        halted = await orchestrator.run(one(outer), {"out": 0}, agent="a")
    assert (halted.status, halted.halt.reason) == ("halted", "model_calls")
    assert halted.output is None


async def test_the_same_sub_agent_in_two_nodes_is_asked_in_each(stage):
    async def leaf(state: State) -> State:
        return {"out": (await step("x").ask("same")).text}

    inner = one(leaf).compile(checkpointer=InMemorySaver())

    async def calls(state: State) -> State:
        thread = {"configurable": {"thread_id": f"after {state['out']}"}}
        found = (await inner.ainvoke({"out": None}, thread))["out"]
        return {"out": [*state["out"], found]}

    graph = StateGraph(State).add_node("n1", calls).add_node("n2", calls)
    graph.add_edge(START, "n1").add_edge("n1", "n2")
    async with stage.orchestrator(script=["first", "second"]) as orchestrator:
        result = await orchestrator.run(graph, {"out": []}, agent="a")
    assert result.output == {"out": ["first", "second"]}


async def test_a_graph_called_twice_in_a_node_is_asked_twice_and_replayed_in_order(stage):
    async def leaf(state: State) -> State:
        return {"out": (await step("x").ask("same")).text}

    inner = one(leaf).compile()

    async def calls(state: State) -> State:
        found = [(await inner.ainvoke({"out": None}))["out"] for _ in range(3)]
        interrupt("go on?")
        return {"out": found}

    async with stage.orchestrator(script=["a", "b", "c"]) as orchestrator:
        await orchestrator.run(one(calls), {"out": 0}, agent="a", task_id="t")
        result = await orchestrator.resume("t", answer="yes")
    assert result.output == {"out": ["a", "b", "c"]}
    assert len(stage.asked) == 3


async def test_an_orphan_of_an_earlier_execution_does_not_shift_what_is_asked(stage):
    tries = []

    async def flaky() -> None:
        tries.append(1)
        await asyncio.sleep(0.05)
        if len(tries) == 1:
            message = "not yet"
            raise ConnectionError(message)

    async def asks() -> None:
        await step("x").ask("one")
        await step("x").ask("two")

    async def node(state: State) -> State:
        await asyncio.gather(asks(), flaky())
        return {"out": "done"}

    slow = ScriptedReply(text="ok", delay_s=0.15)
    retry = RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False)
    async with stage.orchestrator(script=lambda _: slow) as orchestrator:
        result = await orchestrator.run(one(node, retry_policy=retry), {"out": 0}, agent="a")
    assert result.status == "completed", result
    assert sorted(stage.asked) == ["one", "two"]


async def test_a_child_that_still_runs_is_joined_when_its_node_runs_again(stage):
    async def asks(state: State) -> State:
        return {"out": (await step("c").ask("question")).text}

    child, tries = one(asks), []

    async def flaky() -> None:
        tries.append(1)
        await asyncio.sleep(0.05)
        if len(tries) == 1:
            message = "not yet"
            raise ConnectionError(message)

    async def parent(state: State) -> State:
        found, _ = await asyncio.gather(orchestrator.run(child, {"out": 0}, agent="child"), flaky())
        return {"out": found.status}

    slow = ScriptedReply(text="ok", delay_s=0.3)
    retry = RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False)
    async with stage.orchestrator(script=lambda _: slow) as orchestrator:
        result = await orchestrator.run(one(parent, retry_policy=retry), {"out": 0}, agent="a")
    assert result.output == {"out": "completed"}
    assert stage.asked == ["question"]
    assert result.cost.unknown == 0


async def test_a_child_gives_the_same_output_the_first_time_and_when_it_is_replayed(stage):
    async def pairs(state: State) -> State:
        return {"out": ("x", "y")}

    child = one(pairs)

    async def parent(state: State) -> State:
        found = (await orchestrator.run(child, {"out": {1, 2, 3}}, agent="child")).output["out"]
        reply = await step("p").ask(f"use {found}")
        interrupt("go on?")
        return {"out": reply.text}

    async with stage.orchestrator() as orchestrator:
        await orchestrator.run(one(parent), {"out": 0}, agent="a", task_id="t")
        result = await orchestrator.resume("t", answer="yes")
    assert result.status == "completed"
    assert stage.asked == ["use ['x', 'y']"]


async def test_a_task_of_another_orchestrator_is_refused_inside_a_task(stage, tmp_path):
    async def inner(state: State) -> State:
        return {"out": (await step("x").ask("hi")).text}

    async def outer(state: State) -> State:
        return {"out": (await second.run(one(inner), {"out": 0}, agent="b")).status}

    async with stage.orchestrator() as first:
        stage.folder = tmp_path / "second"
        stage.folder.mkdir()
        async with stage.orchestrator() as second:
            result = await first.run(one(outer), {"out": 0}, agent="a")
    assert result.status == "failed"
    assert OrchestratorError.__name__ in result.error
    assert stage.asked == []


async def test_two_questions_at_once_are_answered_by_their_ids(stage):
    graph = StateGraph(State)
    results = []
    for name in ("first", "second"):

        def body(state: State, name=name) -> State:
            results.append(f"{name}={interrupt(name)}")
            return {}

        graph.add_node(name, body).add_edge(START, name)
    async with stage.orchestrator() as orchestrator:
        halted = await orchestrator.run(graph, {"out": 0}, agent="a", task_id="t")
        assert "'first'" in halted.halt.detail
        assert "'second'" in halted.halt.detail
        with pytest.raises(ResumeError, match="2 questions"):
            await orchestrator.resume("t", answer="both")
        state = await orchestrator._tasks._services.saver.aget_tuple(
            {"configurable": {"thread_id": "t"}}
        )
        asked = {
            one.id: one.value
            for _, channel, value in state.pending_writes
            if channel == "__interrupt__"
            for one in value
        }
        done = await orchestrator.resume("t", answer=asked)
    assert done.status == "completed"
    assert sorted(results) == ["first=first", "second=second"]
