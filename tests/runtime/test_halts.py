"""A halt keeps what was done, drops what was refused, and resumes, however the graph is written."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send, interrupt

from orchestrator import Money, step


class Fan(TypedDict, total=False):
    items: list[int]
    item: int
    done: Annotated[list[str], operator.add]


ITEMS = {"items": list(range(50)), "done": []}
# A call costs 20 micro-dollars and is bounded by more: room for at most 20 on the wire.
BUDGET = "budgets: {task: {limit: 0.0005 USD}}"


async def ask(item: int) -> str:
    reply = await step("work").ask(f"<{item}>")
    return f"{item}:{reply.text}"


def fan_out() -> StateGraph:
    async def work(state: Fan) -> Fan:
        return {"done": [await ask(state["item"])]}

    graph = StateGraph(Fan)
    graph.add_node("work", work)
    graph.add_conditional_edges(
        START, lambda state: [Send("work", {"item": one}) for one in state["items"]], ["work"]
    )
    return graph


def subgraph_as_node() -> StateGraph:
    graph = StateGraph(Fan)
    graph.add_node("inner", fan_out().compile())
    graph.add_edge(START, "inner")
    return graph


def subgraph_called_in_node() -> StateGraph:
    inner = fan_out().compile()

    async def call(state: Fan) -> Fan:
        found = await inner.ainvoke({"items": state["items"], "done": []})
        return {"done": found["done"]}

    return StateGraph(Fan).add_node("call", call).add_edge(START, "call")


def gathered() -> StateGraph:
    async def call(state: Fan) -> Fan:
        return {"done": await asyncio.gather(*(ask(one) for one in state["items"]))}

    return StateGraph(Fan).add_node("call", call).add_edge(START, "call")


def gathered_with_exceptions_returned() -> StateGraph:
    async def call(state: Fan) -> Fan:
        found = await asyncio.gather(*(ask(one) for one in state["items"]), return_exceptions=True)
        return {"done": [one if isinstance(one, str) else "fallback" for one in found]}

    return StateGraph(Fan).add_node("call", call).add_edge(START, "call")


def task_group() -> StateGraph:
    async def call(state: Fan) -> Fan:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(one)) for one in state["items"]]
        return {"done": [task.result() for task in tasks]}

    return StateGraph(Fan).add_node("call", call).add_edge(START, "call")


def sync_nodes() -> StateGraph:
    def work(state: Fan) -> Fan:
        reply = step("work").ask_sync(f"<{state['item']}>")
        return {"done": [f"{state['item']}:{reply.text}"]}

    graph = StateGraph(Fan)
    graph.add_node("work", work)
    graph.add_conditional_edges(
        START, lambda state: [Send("work", {"item": one}) for one in state["items"]], ["work"]
    )
    return graph


def a_loop() -> StateGraph:
    async def work(state: Fan) -> Fan:
        return {"done": [await ask(len(state["done"]))]}

    graph = StateGraph(Fan).add_node("work", work).add_edge(START, "work")
    graph.add_conditional_edges(
        "work", lambda state: "work" if len(state["done"]) < 50 else END, ["work", END]
    )
    return graph


def edges_that_ask() -> StateGraph:
    async def work(state: Fan) -> Fan:
        return {"done": [f"{len(state['done'])}:ok"]}

    async def more(state: Fan) -> str:
        await ask(len(state["done"]) - 1)
        return "work" if len(state["done"]) < 50 else END

    graph = StateGraph(Fan).add_node("work", work).add_edge(START, "work")
    graph.add_conditional_edges("work", more, ["work", END])
    return graph


SHAPES = [
    fan_out,
    subgraph_as_node,
    subgraph_called_in_node,
    gathered,
    gathered_with_exceptions_returned,
    task_group,
    sync_nodes,
    a_loop,
    edges_that_ask,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_fifty_asks_under_a_budget_for_twenty(stage, shape):
    graph = shape()
    async with stage.orchestrator(BUDGET) as orchestrator:
        halted = await orchestrator.run(graph, ITEMS, agent="a", task_id="t")
        on_the_wire = list(stage.asked)
        assert halted.status == "halted"
        assert (halted.halt.reason, halted.halt.scope) == ("budget", "task")
        assert 0 < len(on_the_wire) <= 25
        assert halted.cost.total <= Money.from_usd("0.0005")
        assert "fallback" not in halted.partial.get("done", [])
    async with stage.orchestrator(BUDGET) as orchestrator:
        resumed = await orchestrator.resume("t", graph=graph, add_budget="1")
    assert resumed.status == "completed"
    assert sorted(resumed.output["done"]) == sorted(f"{one}:ok" for one in range(50))
    assert sorted(stage.asked) == sorted(f"<{one}>" for one in range(50)), "asked once each"
    assert len(resumed.attempts) == 50


async def test_a_node_that_swallows_everything_commits_nothing(stage):
    async def first(state: Fan) -> Fan:
        return {"done": [await ask(0)]}

    async def greedy(state: Fan) -> Fan:
        found = []
        for one in range(1, 50):
            try:
                found.append(await ask(one))
            except BaseException:
                found.append("fallback")
        return {"done": found}

    graph = StateGraph(Fan).add_sequence([first, greedy]).add_edge(START, "first")
    async with stage.orchestrator(BUDGET) as orchestrator:
        halted = await orchestrator.run(graph, {"done": []}, agent="a", task_id="t")
        assert halted.status == "halted"
        assert halted.partial["done"] == ["0:ok"]
        resumed = await orchestrator.resume("t", add_budget="1")
    assert resumed.output["done"] == [f"{one}:ok" for one in range(50)]
    assert sorted(stage.asked) == sorted(f"<{one}>" for one in range(50))


async def test_a_sibling_that_needs_nothing_more_is_kept(stage):
    async def thrifty(state: Fan) -> Fan:
        await asyncio.sleep(0.05)
        return {"done": ["thrifty"]}

    async def spender(state: Fan) -> Fan:
        return {"done": [await ask(one) for one in range(50)]}

    graph = StateGraph(Fan).add_node("thrifty", thrifty).add_node("spender", spender)
    graph.add_edge(START, "thrifty").add_edge(START, "spender")
    async with stage.orchestrator(BUDGET) as orchestrator:
        halted = await orchestrator.run(graph, {"done": []}, agent="a")
    assert halted.partial["done"] == ["thrifty"]


async def test_a_retry_policy_replays_instead_of_paying_again(stage):
    tries = []

    async def fragile(state: Fan) -> Fan:
        found = await ask(0)
        tries.append(found)
        if len(tries) < 3:
            message = "not yet"
            raise ConnectionError(message)
        return {"done": [found]}

    graph = StateGraph(Fan).add_edge(START, "fragile")
    graph.add_node(
        "fragile", fragile, retry_policy=RetryPolicy(max_attempts=5, initial_interval=0.01)
    )
    async with stage.orchestrator("limits: {model_calls: 1, repeats: 1}") as orchestrator:
        result = await orchestrator.run(graph, {"done": []}, agent="a")
    assert result.status == "completed"
    assert len(tries) == 3
    assert stage.asked == ["<0>"]


async def test_a_question_of_the_graphs_own_is_answered_without_paying_again(stage):
    async def asks(state: Fan) -> Fan:
        found = await ask(0)
        answer = interrupt("go on?")
        return {"done": [found, answer]}

    graph = StateGraph(Fan).add_node("asks", asks).add_edge(START, "asks")
    async with stage.orchestrator() as orchestrator:
        halted = await orchestrator.run(graph, {"done": []}, agent="a", task_id="t")
        assert (halted.status, halted.halt.reason) == ("halted", "question")
        assert "go on?" in halted.halt.detail
        resumed = await orchestrator.resume("t", answer="yes")
    assert resumed.output["done"] == ["0:ok", "yes"]
    assert stage.asked == ["<0>"]


async def test_a_failing_node_is_a_failed_task_that_keeps_its_cost(stage):
    async def fails(state: Fan) -> Fan:
        await ask(0)
        message = "the user's own mistake"
        raise KeyError(message)

    graph = StateGraph(Fan).add_node("fails", fails).add_edge(START, "fails")
    async with stage.orchestrator() as orchestrator:
        result = await orchestrator.run(graph, {"done": []}, agent="a")
    assert result.status == "failed"
    assert "the user's own mistake" in result.error
    assert result.cost.known == Money(20_000)


async def test_a_child_task_counts_in_its_parent_and_is_found_again(stage):
    inner = fan_out()

    async def parent(state: Fan) -> Fan:
        child = await orchestrator.run(inner, ITEMS, agent="child")
        return {"done": child.output["done"]}

    graph = StateGraph(Fan).add_node("parent", parent).add_edge(START, "parent")
    async with stage.orchestrator(BUDGET) as orchestrator:
        halted = await orchestrator.run(graph, {"done": []}, agent="a", task_id="t")
        assert (halted.status, halted.halt.reason) == ("halted", "budget")
        assert len(halted.attempts) == len(stage.asked) <= 25
        resumed = await orchestrator.resume("t", add_budget="1")
    assert resumed.status == "completed", resumed
    assert sorted(resumed.output["done"]) == sorted(f"{one}:ok" for one in range(50))
    assert sorted(stage.asked) == sorted(f"<{one}>" for one in range(50))
    assert resumed.cost.known == Money(50 * 20_000)
