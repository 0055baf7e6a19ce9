"""An agent that keeps its own model and tools is governed by one piece of middleware."""

import asyncio
import json

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from orchestrator import Money
from orchestrator.integrations.middleware import GovernedMiddleware
from orchestrator.models.protocol import ToolCall
from orchestrator.models.scripted import ScriptedReply

CENT = Money.from_usd("0.01")
ASK = {"messages": [HumanMessage("How is the weather?")]}
CITIES = ["Berlin", "Paris", "Rome"]


class Own(FakeListChatModel):
    """The model that the agent was written for."""

    def bind_tools(self, tools, **kwargs):
        return self

    def _call(self, *args, **kwargs):
        message = "the agent's own model was asked"
        raise AssertionError(message)


def react(request):
    seen = sum(message["role"] == "tool" for message in request.messages)
    if seen < len(CITIES):
        arguments = json.dumps({"city": CITIES[seen]})
        return ScriptedReply(tool_calls=(ToolCall(f"c{seen}", "weather", arguments),))
    return "sunny everywhere"


def agent(called, *, name="weather"):
    @tool(name)
    def weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return f"sunny in {city}"

    own = Own(responses=["no"])
    return create_agent(own, tools=[weather], middleware=[GovernedMiddleware("think")])


async def test_the_policy_answers_in_place_of_the_agents_model(stage):
    called = []
    policy = "tools: {weather: {price: 0.01 USD}}"
    async with stage.orchestrator(policy, script=react) as orchestrator:
        result = await orchestrator.run(agent(called), ASK, agent="a")
    assert result.status == "completed", result
    assert result.output["messages"][-1].content == "sunny everywhere"
    assert called == CITIES
    assert [one.step for one in result.attempts] == ["think", "tool:weather"] * 3 + ["think"]


async def test_it_halts_between_its_tools_and_goes_on(stage):
    called = []
    policy = "tools: {weather: {price: 0.01 USD, journal: on}}\nbudgets: {task: {limit: 0.025 USD}}"
    async with stage.orchestrator(policy, script=react) as orchestrator:
        halted = await orchestrator.run(agent(called), ASK, agent="a", task_id="t")
        assert (halted.status, halted.halt.step) == ("halted", "tool:weather")
        done = await orchestrator.resume("t", add_budget="0.02")
    assert done.output["messages"][-1].content == "sunny everywhere"
    assert called == CITIES
    assert len(stage.asked) == 4


async def test_a_tool_that_the_model_made_up_is_told_to_it(stage):
    called = []
    replies = iter([ScriptedReply(tool_calls=(ToolCall("c", "climate", "{}"),)), "sorry"])
    async with stage.orchestrator(script=lambda _: next(replies)) as orchestrator:
        result = await orchestrator.run(agent(called), ASK, agent="a")
    assert result.output["messages"][-1].content == "sorry"
    assert "climate" in result.output["messages"][-2].content


@pytest.mark.parametrize("is_sync", [True, False])
async def test_an_agent_in_a_script_is_governed_call_by_call(stage, is_sync):
    called = []
    async with stage.orchestrator("tools: {weather: {price: 0.01 USD}}", script=react):
        if is_sync:
            result = await asyncio.to_thread(agent(called).invoke, ASK)
        else:
            result = await agent(called).ainvoke(ASK)
    assert result["messages"][-1].content == "sunny everywhere"
    assert called == CITIES
    assert {event.scope.agent for event in stage.events} == {"think", "weather"}
