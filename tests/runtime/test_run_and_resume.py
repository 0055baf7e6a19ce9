"""A graph runs under a policy; a halt is durable; a resume pays nothing twice."""

import operator
from itertools import pairwise
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import Money, Orchestrator, ResumeError, TaskExists, TaskNotFound, step


class Trail(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def plan_of(count: int) -> StateGraph:
    graph = StateGraph(Trail)

    def node(number: int):
        async def ask(state: Trail) -> Trail:
            reply = await step(f"s{number}").ask(f"question {number}: {len(state['said'])}")
            return {"said": [f"{number}:{reply.text}"]}

        return ask

    names = [f"n{number}" for number in range(count)]
    for number, name in enumerate(names):
        graph.add_node(name, node(number))
    graph.add_edge(START, names[0])
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph


async def test_a_task_completes_and_every_cent_is_attributed(stage):
    async with stage.orchestrator() as orchestrator:
        result = await orchestrator.run(plan_of(3), {"said": []}, agent="a", user="u")
    assert result.status == "completed"
    assert result.output == {"said": ["0:ok", "1:ok", "2:ok"]}
    assert result.cost.known == Money(3 * 20_000)
    assert [(one.step, one.model, one.certainty) for one in result.attempts] == [
        ("s0", "small", "known"),
        ("s1", "small", "known"),
        ("s2", "small", "known"),
    ]


async def test_a_budget_halt_resumes_without_paying_twice(stage):
    graph = plan_of(10)
    async with stage.orchestrator("budgets: {task: {limit: 0.0001 USD}}") as orchestrator:
        halted = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert halted.status == "halted"
        assert halted.halt.reason == "budget"
        assert halted.halt.scope == "task"
        assert halted.output is None
        assert len(halted.partial["said"]) == len(stage.asked)
        assert halted.cost.total <= Money.from_usd("0.0001")
    async with stage.orchestrator("budgets: {task: {limit: 0.0001 USD}}") as orchestrator:
        resumed = await orchestrator.resume("t", graph=graph, add_budget="0.01")
    assert resumed.status == "completed"
    assert resumed.output == {"said": [f"{number}:ok" for number in range(10)]}
    assert stage.asked == [f"question {number}: {number}" for number in range(10)]
    assert len(resumed.attempts) == 10


async def test_a_completed_task_gives_its_result_again(stage):
    async with stage.orchestrator() as orchestrator:
        first = await orchestrator.run(plan_of(2), {"said": []}, agent="a", task_id="t")
        again = await orchestrator.resume("t")
    assert again == first
    assert len(stage.asked) == 2


async def test_a_task_id_is_used_once_and_an_unknown_one_is_told(stage):
    async with stage.orchestrator() as orchestrator:
        await orchestrator.run(plan_of(1), {"said": []}, agent="a", task_id="t")
        with pytest.raises(TaskExists):
            await orchestrator.run(plan_of(1), {"said": []}, agent="a", task_id="t")
        with pytest.raises(TaskNotFound):
            await orchestrator.resume("nobody")


def test_with_works_without_an_event_loop(stage):
    with stage.orchestrator() as orchestrator:
        assert isinstance(orchestrator, Orchestrator)
        result = orchestrator.run_sync(plan_of(2), {"said": []}, agent="a")
    assert result.status == "completed"


async def test_all_wrong_arguments_are_told_at_once(stage):
    async with stage.orchestrator() as orchestrator:
        with pytest.raises(ValueError, match=r"agent: .*task_id: .*budget: .*timeout: "):
            await orchestrator.run(
                plan_of(1), {"said": []}, agent="a|b", task_id="!", budget="-1", timeout="soon"
            )
    assert stage.asked == []


async def test_a_graph_whose_name_looks_like_a_module_is_not_taken_for_one(stage):
    async def node(state: dict) -> dict:
        return {"out": (await step("s").ask("hi")).text}

    graph = StateGraph(dict).add_node("n", node).add_edge(START, "n").compile(name="os:path")
    async with stage.orchestrator("budgets: {task: {limit: 0.0001 USD}}") as orchestrator:
        halted = await orchestrator.run(graph, {"out": ""}, agent="a", task_id="t")
        assert halted.status == "halted"
    async with stage.orchestrator() as orchestrator:
        with pytest.raises(ResumeError, match=r"pass resume\(\.\.\., graph="):
            await orchestrator.resume("t")
        assert (await orchestrator.resume("t", graph=graph)).status == "completed"
