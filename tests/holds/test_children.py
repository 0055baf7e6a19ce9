"""A task inside a task: bound by what binds the outer one, found again, paid once."""

import asyncio
import operator
import time
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from orchestrator import Money, ResumeError, step
from orchestrator.testing.upstream.faults import Fault

COST = Money(20_000)


class State(TypedDict, total=False):
    first: int
    done: Annotated[list[str], operator.add]


def one_node(body, **more) -> StateGraph:
    return StateGraph(State).add_node("node", body, **more).add_edge(START, "node")


def asks(count: int) -> StateGraph:
    """Asks ``count`` questions, one node each, beginning with ``first``."""

    async def ask(state: State) -> State:
        number = state["first"] + len(state["done"])
        return {"done": [f"{number}:{(await step('s').ask(f'<{number}>')).model}"]}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")
    return graph.add_conditional_edges(
        "ask", lambda state: "ask" if len(state["done"]) < count else END, ["ask", END]
    )


CHILD = asks(4)
GIVEN = {"first": 0, "done": []}


def family(orchestrator, count: int = 3, **terms) -> StateGraph:
    """Runs several children in turn and one beside another."""

    async def node(state: State) -> State:
        done = []
        for number in range(count):
            child = await orchestrator.run(
                CHILD, {"first": number * 4, "done": []}, agent="child", **terms
            )
            done += child.output["done"] if child.output else [child.halt.reason]
        return {"done": done}

    return one_node(node)


async def test_children_halted_at_every_ask_end_as_if_never_halted(ground):
    result, halts = None, 0
    while halts < 30:
        async with ground.orchestrator("limits: {model_calls: 1}") as orchestrator:
            graph = family(orchestrator)
            if result is None:
                result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
            else:
                more = {"model_calls": 1}
                result = await orchestrator.resume("t", graph=graph, extend=more)
        if result.status != "halted":
            break
        assert result.halt.reason == "model_calls"
        halts += 1
    assert result.status == "completed", result
    assert result.output["done"] == [f"{number}:small" for number in range(12)]
    assert ground.requests() == {f"<{number}>": 1 for number in range(12)}
    assert len(result.attempts) == 12
    assert result.cost.total == ground.upstream.billed == COST * 12


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("limits: {model_calls: 6}", "model_calls"),
        ("limits: {steps: 7}", "steps"),
        ("limits: {tokens: 100}", "tokens"),
        ("budgets: {task: {limit: 0.0003 USD}}", "budget"),
        ("budgets: {team: {limit: 0.0003 USD}}", "budget"),
        ("budgets: {agent: {limit: 0.0003 USD}}", "budget"),
    ],
)
async def test_a_child_does_not_escape_what_binds_its_parent(ground, policy, reason):
    async with ground.orchestrator(policy) as orchestrator:
        graph = family(orchestrator)
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", reason)
        assert result.partial["done"] == []
        asked = len(ground.upstream.log)
        assert 0 < asked < 12
        children = [one for (one,) in ground.rows("SELECT task_id FROM task_records") if one != "t"]
        for child in children:
            record = await orchestrator._opened().find(child)
            if record.status == "completed":
                continue
            with pytest.raises(ResumeError, match=r"runs inside t.*resume t"):
                await orchestrator.resume(child, graph=CHILD, extend={"model_calls": 100})
        assert len(ground.upstream.log) == asked


async def test_a_child_has_a_tighter_budget_of_its_own_and_its_parent_goes_on(ground):
    async with ground.orchestrator("budgets: {task: {limit: 1 USD}}") as orchestrator:
        graph = family(orchestrator, count=2, budget="0.0002")
        result = await orchestrator.run(graph, GIVEN, agent="a")
    assert result.status == "completed"
    assert result.output["done"] == ["budget", "budget"]
    assert len(ground.upstream.log) == 4


async def test_a_parent_may_give_its_halted_child_more_as_far_as_it_has_it(ground):
    async def node(state: State) -> State:
        child = await orchestrator.run(CHILD, GIVEN, agent="child", budget="0.0002")
        while child.status == "halted":
            child = await orchestrator.resume(child.task_id, add_budget="0.0001")
        return {"done": child.output["done"]}

    async with ground.orchestrator("budgets: {task: {limit: 1 USD}}") as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="rich")
        assert result.status == "completed"
        assert result.output["done"] == [f"{number}:small" for number in range(4)]
        assert len(result.attempts) == len(ground.upstream.log) == 4
    async with ground.orchestrator("budgets: {task: {limit: 0.00021 USD}}") as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="poor")
        assert (result.status, result.halt.reason) == ("halted", "budget")
        assert len(ground.upstream.log) == 4 + 2
        result = await orchestrator.resume("poor", add_budget="1")
    assert result.status == "completed"
    assert len(ground.upstream.log) == 8


async def test_a_retry_policy_around_a_child_finds_it_again(ground):
    tries = []

    async def node(state: State) -> State:
        child = await orchestrator.run(CHILD, GIVEN, agent="child")
        tries.append(child.task_id)
        if len(tries) < 3:
            raise ConnectionError
        return {"done": child.output["done"]}

    retry = RetryPolicy(max_attempts=5, initial_interval=0.001)
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node, retry_policy=retry), GIVEN, agent="a")
    assert result.status == "completed", result.error
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert len(ground.upstream.log) == 4


async def test_children_side_by_side_are_told_apart_and_found_again(ground):
    async def node(state: State) -> State:
        children = await asyncio.gather(
            *(orchestrator.run(CHILD, GIVEN, agent="child") for _ in range(3))
        )
        return {"done": [word for child in children for word in child.output["done"]]}

    async with ground.orchestrator("limits: {model_calls: 5}") as orchestrator:
        graph = one_node(node)
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (result.status, len(ground.upstream.log)) == ("halted", 5)
    async with ground.orchestrator("limits: {model_calls: 5}") as orchestrator:
        result = await orchestrator.resume("t", graph=graph, extend={"model_calls": 7})
    assert result.status == "completed"
    assert ground.requests() == {f"<{number}>": 3 for number in range(4)}
    assert len(ground.rows("SELECT task_id FROM task_records")) == 4


@pytest.mark.parametrize("asked", [True, False])
async def test_a_parents_deadline_ends_its_child_and_both_halt(ground, asked):
    ground.upstream.add_faults(Fault(kind="hang"))

    async def sleeps(state: State) -> State:
        await asyncio.sleep(60)
        return {}

    async def node(state: State) -> State:
        child = await orchestrator.run(CHILD if asked else one_node(sleeps), GIVEN, agent="child")
        return {"done": child.output["done"]}

    async with ground.orchestrator() as orchestrator:
        began = time.monotonic()
        result = await orchestrator.run(
            one_node(node), GIVEN, agent="a", task_id="t", timeout="500ms"
        )
        assert time.monotonic() - began < 15
        assert (result.status, result.halt.reason) == ("halted", "timeout"), result
        statuses = dict(ground.rows("SELECT task_id, status FROM task_records"))
        assert set(statuses.values()) == {"halted"}
        if asked:
            ground.upstream.clear_faults()
            result = await orchestrator.resume("t", extend={"timeout": "1m"})
            assert result.status == "completed"


async def test_a_childs_own_deadline_leaves_its_parent_running(ground):
    async def sleeps(state: State) -> State:
        await asyncio.sleep(60)
        return {}

    async def node(state: State) -> State:
        child = await orchestrator.run(one_node(sleeps), GIVEN, agent="child", timeout="200ms")
        return {"done": [child.halt.reason, (await step("s").ask("<1>")).model]}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", timeout="1m")
    assert result.status == "completed"
    assert result.output["done"] == ["timeout", "small"]


@pytest.mark.parametrize("signal", ["pause", "cancel"])
async def test_a_signal_to_the_parent_stops_its_children_and_all_resume(ground, signal):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))
    async with ground.orchestrator() as orchestrator:
        graph = family(orchestrator)
        running = asyncio.create_task(orchestrator.run(graph, GIVEN, agent="a", task_id="t"))
        while len(ground.upstream.log) < 6:
            await asyncio.sleep(0.01)
        await getattr(orchestrator, signal)("t")
        halted = await asyncio.wait_for(running, 15)
        assert halted.status == "halted"
        assert halted.halt.reason == {"pause": "paused", "cancel": "cancelled"}[signal]
        ground.upstream.clear_faults()
        result = await orchestrator.resume("t")
    assert result.status == "completed"
    assert result.output["done"] == [f"{number}:small" for number in range(12)]
    assert len(ground.upstream.log) == {"pause": 12, "cancel": 13}[signal]


async def test_sync_nodes_run_children_with_run_sync(ground):
    def node(state: State) -> State:
        child = orchestrator.run_sync(CHILD, GIVEN, agent="child")
        return {"done": child.output["done"] if child.output else ["?"]}

    async with ground.orchestrator("limits: {model_calls: 2}") as orchestrator:
        graph = one_node(node)
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "model_calls")
        result = await orchestrator.resume("t", extend={"model_calls": 2})
    assert result.status == "completed"
    assert len(ground.upstream.log) == len(result.attempts) == 4
    kinds = ground.rows("SELECT count(*) FROM task_records WHERE ancestors LIKE '%\"t\"%'")
    assert kinds == [(1,)]
