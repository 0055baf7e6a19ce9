"""LangChain's tools under the policy: in agents, in tool nodes, and called in a node."""

import json
from typing import Annotated

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode

from orchestrator import Money, tool_cost
from orchestrator.core.events import ToolFailed
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.tools import governed_tool, governed_tools
from orchestrator.models.protocol import ToolCall
from orchestrator.models.scripted import ScriptedReply

CENT = Money.from_usd("0.01")
ASK = {"messages": [HumanMessage("How is the weather?")]}
PRICED = "tools: {'*weather': {price: 0.01 USD, journal: on}}"


def weather_tools(called):
    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return f"sunny in {city}"

    @tool
    async def async_weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return f"sunny in {city}"

    class OtherWeather(BaseTool):
        name: str = "other_weather"
        description: str = "The weather in a city."

        def _run(self, city: str) -> str:
            called.append(city)
            return f"sunny in {city}"

    return {"weather": weather, "async_weather": async_weather, "other_weather": OtherWeather()}


def node_of(*tools, **more):
    """A graph that only runs the tools its input calls."""
    node = ToolNode(list(tools), **more)
    return StateGraph(MessagesState).add_node("tools", node).add_edge(START, "tools")


def calls(*given):
    made = [
        {"name": name, "args": arguments, "id": f"c{number}", "type": "tool_call"}
        for number, (name, arguments) in enumerate(given)
    ]
    return {"messages": [AIMessage("", tool_calls=made)]}


def contents(result):
    assert result.status == "completed", result
    return [message.content for message in result.output["messages"] if message.type == "tool"]


@pytest.mark.parametrize("name", ["weather", "async_weather", "other_weather"])
async def test_every_kind_of_tool_is_governed_once(stage, name):
    called = []
    governed = governed_tool(weather_tools(called)[name])
    assert governed.tool_call_schema.model_fields.keys() == {"city"}
    given = calls((name, {"city": "Rome"}))
    async with stage.orchestrator(f"{PRICED}\nlimits: {{tool_calls: 1}}") as orchestrator:
        result = await orchestrator.run(node_of(governed), given, agent="a")
    assert contents(result) == ["sunny in Rome"]
    assert called == ["Rome"]
    assert [(one.step, one.cost) for one in result.attempts] == [(f"tool:{name}", CENT)]


@pytest.mark.parametrize("is_sync", [True, False])
async def test_a_node_may_call_it_itself(stage, is_sync):
    called = []
    governed = governed_tool(weather_tools(called)["weather"])

    def plain(state: MessagesState) -> MessagesState:
        return {"messages": [AIMessage(governed.invoke({"city": "Rome"}))]}

    async def asynchronous(state: MessagesState) -> MessagesState:
        return {"messages": [AIMessage(await governed.ainvoke({"city": "Rome"}))]}

    graph = StateGraph(MessagesState).add_node("n", plain if is_sync else asynchronous)
    async with stage.orchestrator(PRICED) as orchestrator:
        result = await orchestrator.run(graph.add_edge(START, "n"), ASK, agent="a")
    assert result.output["messages"][-1].content == "sunny in Rome"
    assert result.cost.total == CENT


async def test_the_rules_of_an_mcp_server_hold_for_its_tools(stage):
    called = []
    tools = governed_tools(weather_tools(called).values(), server="sky")
    policy = "tools: {'mcp:sky/*': {price: 0.01 USD}, 'mcp:sky/weather': {price: 0.02 USD}}"
    given = calls(*((one.name, {"city": "Rome"}) for one in tools))
    async with stage.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(node_of(*tools), given, agent="a")
    assert {one.step: one.cost for one in result.attempts} == {
        "tool:mcp:sky/weather": CENT * 2,
        "tool:mcp:sky/async_weather": CENT,
        "tool:mcp:sky/other_weather": CENT,
    }


async def test_content_and_artifact_come_back_from_the_journal_too(stage):
    called = []

    @tool(response_format="content_and_artifact")
    def picture(city: str) -> tuple[str, dict[str, int]]:
        """A picture of a city."""
        called.append(city)
        return f"a picture of {city}", {"width": 3}

    policy = "tools: {picture: {journal: on}}\nlimits: {model_calls: 1}"
    seen = []

    async def node(state: MessagesState) -> MessagesState:
        found = await ToolNode([governed_tool(picture)]).ainvoke(
            calls(("picture", {"city": "Rome"}))
        )
        seen.append(found["messages"][0].artifact)
        for question in ("hi", "again"):
            await RoutedChatModel(step="s").ainvoke(question)
        return {"messages": found["messages"]}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    async with stage.orchestrator(policy) as orchestrator:
        halted = await orchestrator.run(graph, ASK, agent="a", task_id="t")
        assert halted.halt.reason == "model_calls"
        done = await orchestrator.resume("t", extend={"model_calls": 1})
    assert done.output["messages"][-1].content == "a picture of Rome"
    assert called == ["Rome"]
    assert seen == [{"width": 3}] * 2


async def test_what_langchain_injects_is_no_part_of_the_call(stage):
    seen = []

    @tool
    def count(word: str, state: Annotated[dict, InjectedState]) -> int:
        """Count messages."""
        seen.append(len(state["messages"]))
        return 1

    governed = governed_tool(count)
    async with stage.orchestrator("tools: {count: {journal: on}}") as orchestrator:
        given = calls(("count", {"word": "a"}))
        result = await orchestrator.run(node_of(governed), given, agent="a")
    assert contents(result) == ["1"]
    assert seen == [1]


async def test_rules_for_a_tool_that_nobody_governs_are_not_forgotten(stage):
    loose = weather_tools([])["weather"]
    given = calls(("weather", {"city": "Rome"}))
    async with stage.orchestrator(PRICED) as orchestrator:
        result = await orchestrator.run(node_of(loose), given, agent="a")
    assert result.status == "failed"
    assert "governed_tools" in result.error


async def test_a_limit_needs_no_governing(stage):
    called = []
    loose = weather_tools(called)["weather"]
    given = calls(*(("weather", {"city": city}) for city in ("Rome", "Paris", "Bonn")))
    async with stage.orchestrator("tools: {weather: {limit: 2}}") as orchestrator:
        result = await orchestrator.run(node_of(loose), given, agent="a")
    assert result.halt.reason == "tool_calls"
    assert len(called) <= 2


@pytest.mark.parametrize("given", ["function", "tool", "governed"])
async def test_a_decorated_function_counts_once_however_it_becomes_a_tool(stage, given):
    @tool_cost("0.01")
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    one = {
        "function": weather,
        "tool": StructuredTool.from_function(weather),
        "governed": governed_tool(weather),
    }[given]
    policy = "limits: {tool_calls: 1}\ntools: {weather: {price: 0.02 USD}}"
    async with stage.orchestrator(policy) as orchestrator:
        asked = calls(("weather", {"city": "Rome"}))
        result = await orchestrator.run(node_of(one), asked, agent="a")
    assert contents(result) == ["sunny in Rome"]
    assert result.cost.total == CENT * 2


@pytest.mark.parametrize("is_governed", [True, False])
async def test_arguments_with_half_a_character_are_arguments_too(stage, is_governed):
    called = []
    one = weather_tools(called)["weather"]
    one = governed_tool(one) if is_governed else one

    async def node(state: MessagesState) -> MessagesState:
        await one.ainvoke({"city": "Rome\ud800"})
        return {"messages": []}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    async with stage.orchestrator() as orchestrator:
        result = await orchestrator.run(graph, ASK, agent="a")
    assert result.status == "completed", result
    assert called == ["Rome\ud800"]


async def test_a_failure_names_the_step_and_the_model_that_called(stage):
    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        message = f"no such city: {city}"
        raise ValueError(message)

    def script(request):
        if request.messages[-1]["role"] == "tool":
            return "I do not know"
        return ScriptedReply(tool_calls=(ToolCall("c1", "weather", json.dumps({"city": "X"})),))

    async def tools(state: MessagesState) -> MessagesState:
        return await ToolNode(governed_tools([weather]), handle_tool_errors=True).ainvoke(state)

    async def think(state: MessagesState) -> MessagesState:
        model = RoutedChatModel(step="think").bind_tools([weather])
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("think", think).add_node("tools", tools)
    graph.add_node("answer", think)
    graph.add_edge(START, "think").add_edge("think", "tools").add_edge("tools", "answer")
    async with stage.orchestrator(script=script) as orchestrator:
        result = await orchestrator.run(graph, ASK, agent="a")
    assert result.output["messages"][-1].content == "I do not know"
    (failed,) = [event for event in stage.events if isinstance(event, ToolFailed)]
    assert (failed.step, failed.model, failed.tool) == ("think", "small", "weather")
    assert "no such city" in failed.error


async def test_an_agent_halts_between_its_tools_and_goes_on(stage):
    called = []
    tools = governed_tools(weather_tools(called).values())
    cities = ["Berlin", "Paris", "Rome"]

    def react(request):
        seen = sum(message["role"] == "tool" for message in request.messages)
        if seen:
            return "sunny everywhere"
        asked = [
            ToolCall(f"c{number}", one.name, json.dumps({"city": cities[number]}))
            for number, one in enumerate(tools)
        ]
        return ScriptedReply(tool_calls=tuple(asked))

    agent = create_agent(RoutedChatModel(step="think"), tools=tools)
    policy = f"{PRICED}\nbudgets: {{task: {{limit: 0.025 USD}}}}"
    async with stage.orchestrator(policy, script=react) as orchestrator:
        halted = await orchestrator.run(agent, ASK, agent="a", task_id="t")
        assert (halted.status, halted.halt.reason) == ("halted", "budget")
        assert len(called) == 2
        done = await orchestrator.resume("t", add_budget="0.02")
    assert done.output["messages"][-1].content == "sunny everywhere"
    assert sorted(called) == cities
    assert len(stage.asked) == 2
