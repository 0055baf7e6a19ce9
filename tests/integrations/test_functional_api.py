"""LangGraph's functional API: tasks and entry points are governed like graphs."""

import asyncio

import pytest
from langgraph.func import entrypoint, task
from langgraph.types import interrupt

from orchestrator import Money, step, tool_cost


def agent(ran):
    @task
    async def plan(question: str) -> str:
        ran.append("plan")
        return (await step("plan").ask(question)).text

    @task
    async def answer(part: str) -> str:
        ran.append(part)
        return (await step("answer").ask(part)).text

    @entrypoint()
    async def whole(question: str) -> list[str]:
        made = await plan(question)
        return list(await asyncio.gather(*(answer(f"{made} {number}") for number in range(3))))

    return whole


def script(request):
    return f"<{request.messages[-1]['content']}>"


EXPECTED = [f"<<why> {number}>" for number in range(3)]


async def test_an_entry_point_runs_as_a_task(stage):
    async with stage.orchestrator(script=script) as orchestrator:
        result = await orchestrator.run(agent([]), "why", agent="a")
    assert (result.status, result.output) == ("completed", EXPECTED), result
    assert [one.step for one in result.attempts] == ["plan", "answer", "answer", "answer"]


@pytest.mark.parametrize("calls", [1, 2, 3])
async def test_it_halts_and_goes_on_in_another_life(stage, calls):
    ran = []
    limits = f"limits: {{model_calls: {calls}}}"
    async with stage.orchestrator(limits, script=script) as orchestrator:
        halted = await orchestrator.run(agent(ran), "why", agent="a", task_id="t")
    assert (halted.status, halted.halt.reason) == ("halted", "model_calls")
    async with stage.orchestrator(limits, script=script) as orchestrator:
        done = await orchestrator.resume("t", graph=agent(ran), extend={"model_calls": 9})
    assert (done.status, done.output) == ("completed", EXPECTED), done
    assert sorted(stage.asked) == ["<why> 0", "<why> 1", "<why> 2", "why"], "none was asked twice"
    assert ran.count("plan") == 1, "a task that ended is not run again"


async def test_sync_tasks_tools_and_questions_work(stage):
    called = []

    @task
    @tool_cost("0.01", name="search", journal=True)
    def search(query: str) -> str:
        called.append(query)
        return f"page about {query}"

    @entrypoint()
    def whole(question: str) -> str:
        found = search(question).result()
        answer = interrupt("is it right?")
        return f"{found}: {answer}"

    async with stage.orchestrator() as orchestrator:
        halted = await orchestrator.run(whole, "cats", agent="a", task_id="t")
        assert halted.halt.reason == "question"
        done = await orchestrator.resume("t", answer="yes")
    assert done.output == "page about cats: yes"
    assert called == ["cats"]
    assert done.cost.total == Money.from_usd("0.01")
