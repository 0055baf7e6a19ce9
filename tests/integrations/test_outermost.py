"""A call that no task is around is governed all the same: it becomes a task of its own."""

import asyncio
import contextvars
from contextlib import suppress

import pytest
from langchain_core.messages import HumanMessage

from orchestrator import Halted, Money, step
from orchestrator.core.errors import NoRunningTask
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.models.protocol import ModelCallError

ASK = [HumanMessage("How is the weather?")]
ONE_CALL = "budgets: {agent: {limit: 0.000215 USD, per: day}}"


async def test_a_script_that_calls_a_model_is_governed(stage):
    async with stage.orchestrator(script=lambda _: "sunny"):
        message = await RoutedChatModel(step="answer", agent="weather").ainvoke(ASK)
        reply = await step("answer").ask("And tomorrow?")
    assert message.content == reply.text == "sunny"
    tasks = {event.scope.task_id: event.scope for event in stage.events}
    assert [scope.agent for scope in tasks.values()] == ["weather", "answer"]


def test_a_script_without_an_event_loop_is_governed(stage):
    with stage.orchestrator(script=lambda _: "sunny"):
        assert RoutedChatModel(step="answer").invoke(ASK).content == "sunny"
        pieces = list(RoutedChatModel(step="answer").stream(ASK))
    assert "".join(piece.content for piece in pieces) == "sunny"
    assert pieces[-1].usage_metadata["output_tokens"] > 0


async def test_another_loop_than_the_orchestrators_is_no_hindrance(stage):
    async with stage.orchestrator(script=lambda _: "sunny"):
        reply = await asyncio.to_thread(lambda: step("answer").ask_sync("Well?"))
    assert reply.text == "sunny"


async def test_its_budget_holds_and_the_halt_is_no_ordinary_error(stage):
    model = RoutedChatModel(step="answer", agent="weather")
    async with stage.orchestrator(ONE_CALL) as orchestrator:
        await model.ainvoke(ASK)
        await model.ainvoke(ASK)
        with pytest.raises(Halted) as halted, suppress(Exception):
            await model.ainvoke(ASK)
        assert halted.value.halt.reason == "budget"
        assert halted.value.halt.scope == "agent"
        (note,) = halted.value.__notes__
        halt = await orchestrator.resume(note.removeprefix("task "))
    assert halt.status == "halted"
    assert len(stage.asked) == 2


async def test_an_error_of_the_call_is_raised_as_it_is(stage):
    def rejects(request):
        return ModelCallError("rejected", "no such thing", status=400)

    async with stage.orchestrator(script=rejects):
        with pytest.raises(Exception, match="no such thing") as failed:
            await step("answer").ask("Well?")
    assert type(failed.value).__name__ == "ModelRejected"


async def test_blocks_nest_and_end(stage):
    outside = contextvars.copy_context()
    async with stage.orchestrator(script=["outer"]):
        async with stage.orchestrator(script=["inner"]):
            assert (await step("answer").ask("Who?")).text == "inner"
        assert (await step("answer").ask("Who?")).text == "outer"
        with pytest.raises(NoRunningTask, match="copy_context"):
            await asyncio.create_task(step("answer").ask("Who?"), context=outside)
    with pytest.raises(NoRunningTask, match=r"with Orchestrator\.from_policy"):
        await step("answer").ask("Who?")


async def test_what_it_costs_is_in_the_ledger_under_its_step(stage):
    async with stage.orchestrator() as orchestrator:
        reply = await step("answer").ask("Well?")
        (task,) = {event.scope.task_id for event in stage.events}
        result = await orchestrator.resume(task)
    assert result.cost.total == reply.cost == Money(20_000)
    assert [attempt.step for attempt in result.attempts] == ["answer"]
