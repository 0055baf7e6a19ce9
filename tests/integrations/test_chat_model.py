"""A LangChain agent is governed by giving it another chat model, and nothing else."""

import json

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from orchestrator import Money
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.models.protocol import ToolCall
from orchestrator.models.scripted import ScriptedReply, question

CALLED = []


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    CALLED.append(city)
    return f"sunny in {city}"


def react(request):
    """Ask for the weather of each city in turn, then answer."""
    cities = ["Berlin", "Paris", "Rome"]
    seen = sum(message["role"] == "tool" for message in request.messages)
    if seen < len(cities):
        arguments = json.dumps({"city": cities[seen]})
        return ScriptedReply(tool_calls=(ToolCall(f"c{seen}", "weather", arguments),))
    return "sunny everywhere"


def agent():
    return create_agent(RoutedChatModel(step="think"), tools=[weather])


ASK = {"messages": [HumanMessage("How is the weather?")]}


async def test_a_react_agent_runs_unchanged(stage):
    CALLED.clear()
    async with stage.orchestrator(script=react) as orchestrator:
        result = await orchestrator.run(agent(), ASK, agent="weather")
    assert result.status == "completed", result
    messages = result.output["messages"]
    assert messages[-1].content == "sunny everywhere"
    assert messages[-1].usage_metadata["total_tokens"] > 0
    assert messages[-1].response_metadata["model_name"] == "small"
    assert CALLED == ["Berlin", "Paris", "Rome"]
    assert {attempt.step for attempt in result.attempts} == {"think"}


async def test_it_halts_on_budget_mid_tool_and_resumes_to_the_same_end(stage):
    CALLED.clear()
    async with stage.orchestrator(script=react) as orchestrator:
        free = await orchestrator.run(agent(), ASK, agent="weather", task_id="free")
    whole = len(stage.asked)
    assert whole == 4
    stage.asked.clear()
    limits = "limits: {model_calls: 2}"
    async with stage.orchestrator(limits, script=react) as orchestrator:
        halted = await orchestrator.run(agent(), ASK, agent="weather", task_id="t")
        assert (halted.status, halted.halt.reason) == ("halted", "model_calls")
        resumed = await orchestrator.resume("t", extend={"model_calls": 5})
    assert resumed.status == "completed"
    assert len(stage.asked) == whole, "nothing was asked twice"
    assert resumed.output["messages"][-1].content == free.output["messages"][-1].content


async def test_it_streams_tokens(stage):
    pieces = []

    async def node(state: MessagesState) -> MessagesState:
        whole = None
        async for chunk in RoutedChatModel(step="s").astream(state["messages"]):
            pieces.append(chunk.content)
            whole = chunk if whole is None else whole + chunk
        assert whole.usage_metadata["output_tokens"] > 0
        return {"messages": [AIMessage(whole.content)]}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    async with stage.orchestrator(script=["a long answer in pieces"]) as orchestrator:
        result = await orchestrator.run(graph, ASK, agent="a")
    assert result.output["messages"][-1].content == "a long answer in pieces"
    assert len(pieces) > 1


class City(BaseModel):
    name: str
    people: int


async def test_structured_output_comes_through_tools(stage):
    def script(request):
        assert request.parameters["tool_choice"]
        arguments = '{"name": "Rome", "people": 3}'
        return ScriptedReply(tool_calls=(ToolCall("1", "City", arguments),))

    found = []

    async def node(state: MessagesState) -> MessagesState:
        model = RoutedChatModel(step="s").with_structured_output(City)
        found.append(await model.ainvoke(state["messages"]))
        return {"messages": []}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    async with stage.orchestrator(script=script) as orchestrator:
        result = await orchestrator.run(graph, ASK, agent="a")
    assert result.status == "completed", result
    assert found == [City(name="Rome", people=3)]


async def test_sync_nodes_and_tool_messages_work(stage):
    def node(state: MessagesState) -> MessagesState:
        return {"messages": [RoutedChatModel(step="s").invoke(state["messages"], stop=["END"])]}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    history = [
        HumanMessage("weather?"),
        AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": "1"}]),
        ToolMessage("sunny", tool_call_id="1"),
    ]

    def script(request):
        assert request.parameters == {"stop": ["END"]}
        assert [message["role"] for message in request.messages] == ["user", "assistant", "tool"]
        assert "sunny" in question(request.messages)
        return "it is sunny"

    async with stage.orchestrator(script=script) as orchestrator:
        result = await orchestrator.run(graph, {"messages": history}, agent="a")
    assert result.output["messages"][-1].content == "it is sunny"
    assert result.cost.total > Money.ZERO
