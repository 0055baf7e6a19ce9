"""Agents as others write them, governed by three changed lines, and what they do is the same.

Over HTTP: a model that is not governed asks the upstream directly; the governed one asks it through
LiteLLM. The lines that differ are marked in :func:`governed`.
"""

import json
import operator
from collections import Counter
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import END, START, StateGraph

from orchestrator import Money
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.tools import governed_tools
from orchestrator.testing.upstream.server import Upstream

PRICES = {"small": {"input": "1", "output": "1"}}
CENT = Money.from_usd("0.01")
POLICY = """
tools: {weather: {price: 0.01 USD, journal: on}, hotel: {price: 0.01 USD, journal: on}}
budgets: {task: {limit: 0.005 USD}}
"""
REPORTS = {
    "Berlin": "report 1: Berlin is sunny",
    "Paris": "report 2: Paris is sunny, too",
    "Rome": "report 3: Rome is as sunny as ever",
}


class Direct(BaseChatModel):
    """A chat model as a provider's package has one."""

    url: str

    @property
    def _llm_type(self) -> str:
        return "direct"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(one) for one in tools])

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked = {"model": "small", "messages": convert_to_openai_messages(messages), **kwargs}
        async with httpx.AsyncClient() as client:
            told = (await client.post(f"{self.url}/chat/completions", json=asked)).json()
        message = told["choices"][0]["message"]
        calls = [
            {
                "name": one["function"]["name"],
                "args": json.loads(one["function"]["arguments"]),
                "id": one["id"],
            }
            for one in message.get("tool_calls") or ()
        ]
        answer = AIMessage(message.get("content") or "", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def tools_of(called: list[str]) -> list[Any]:
    @tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        called.append(f"weather {city}")
        return REPORTS[city]

    @tool
    def hotel(city: str) -> str:
        """A hotel in a city."""
        called.append(f"hotel {city}")
        return f"the best hotel of all in {city} is called Excelsior"

    return [weather, hotel]


def react(model, tools):
    return create_agent(model, tools=tools)


class Plan(TypedDict, total=False):
    messages: list[Any]
    plan: list[str]
    past: Annotated[list[str], operator.add]


def plan_and_execute(model, tools):
    executor = create_agent(model, tools=tools)

    async def plan(state: Plan) -> Plan:
        text = state["messages"][0].content
        return {"plan": (await model.ainvoke(f"Make a plan: {text}")).content.split("; ")}

    async def execute(state: Plan) -> Plan:
        done = await executor.ainvoke({"messages": [("user", state["plan"][0])]})
        return {"past": [done["messages"][-1].content], "plan": state["plan"][1:]}

    async def respond(state: Plan) -> Plan:
        answer = await model.ainvoke("Put together: " + ", ".join(state["past"]))
        return {"messages": [*state["messages"], answer]}

    graph = StateGraph(Plan).add_node(plan).add_node(execute).add_node(respond)
    graph.add_edge(START, "plan").add_edge("plan", "execute").add_edge("respond", END)
    graph.add_conditional_edges("execute", lambda state: "execute" if state["plan"] else "respond")
    return graph.compile()


def supervisor(model, tools):
    experts = {one.name: create_agent(model, tools=[one], name=f"{one.name}er") for one in tools}

    async def ask(expert: str, query: str) -> str:
        done = await experts[expert].ainvoke({"messages": [("user", query)]})
        return done["messages"][-1].content

    @tool
    async def ask_weather_expert(query: str) -> str:
        """Ask the expert for the weather."""
        return await ask("weather", query)

    @tool
    async def ask_hotel_expert(query: str) -> str:
        """Ask the expert for hotels."""
        return await ask("hotel", query)

    return create_agent(model, tools=[ask_weather_expert, ask_hotel_expert])


def call(number, name, **arguments):
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "text": "",
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }


# The upstream answers the longest question that it finds in what is asked.
CASES = {
    react: (
        "weather of three",
        {
            "weather of three": call(1, "weather", city="Berlin"),
            REPORTS["Berlin"]: call(2, "weather", city="Paris"),
            REPORTS["Paris"]: call(3, "weather", city="Rome"),
            REPORTS["Rome"]: {"text": "sunny everywhere"},
        },
        ["weather Berlin", "weather Paris", "weather Rome"],
    ),
    plan_and_execute: (
        "a picnic",
        {
            "Make a plan: a picnic": {"text": "look at Berlin; look at Paris"},
            "look at Berlin": call(1, "weather", city="Berlin"),
            REPORTS["Berlin"]: {"text": "Berlin will do"},
            "look at Paris": call(2, "weather", city="Paris"),
            REPORTS["Paris"]: {"text": "Paris will do"},
            "Put together: Berlin will do, Paris will do": {"text": "picnics in both"},
        },
        ["weather Berlin", "weather Paris"],
    ),
    supervisor: (
        "a holiday in Rome",
        {
            "a holiday in Rome": call(1, "ask_weather_expert", query="sky over Rome"),
            "sky over Rome": call(2, "weather", city="Rome"),
            REPORTS["Rome"]: {"text": "Rome is sunny all through the year, the expert says"},
            "Rome is sunny all through the year, the expert says": call(
                3, "ask_hotel_expert", query="beds in Rome"
            ),
            "beds in Rome": call(4, "hotel", city="Rome"),
            "the best hotel of all in Rome is called Excelsior": {
                "text": "the Excelsior has everything, says the hotel expert, and even a view of it"
            },
            "the Excelsior has everything, says the hotel expert, and even a view of it": {
                "text": "go to Rome and sleep in the Excelsior"
            },
        },
        ["hotel Rome", "weather Rome"],
    ),
}


@pytest.fixture(params=CASES, ids=lambda build: build.__name__)
async def case(request, ground, tmp_path):
    build = request.param
    question, answers, tools = CASES[build]
    replies = [
        ground.recorded(one, **{"text": "", **answer, "input_tokens": 10, "output_tokens": 9})
        for one, answer in answers.items()
    ]
    async with Upstream(replies, prices=PRICES) as upstream:
        yield build, {"messages": [HumanMessage(question)]}, tools, type(ground)(tmp_path, upstream)


async def ungoverned(build, given, called, ground):
    model = Direct(url=ground.upstream.url)
    tools = tools_of(called)
    return await build(model, tools).ainvoke(given)


async def governed(build, given, called, ground, life):
    model = RoutedChatModel(step="think")  # changed
    tools = governed_tools(tools_of(called))  # changed
    async with ground.orchestrator(POLICY) as orchestrator:
        if life == 0:
            return await orchestrator.run(build(model, tools), given, agent="a", task_id="t")
        return await orchestrator.resume("t", graph=build(model, tools), add_budget="0.0102")


async def test_it_halts_mid_tool_resumes_and_ends_as_without_governance(case):
    build, given, tools, ground = case
    free: list[str] = []
    ends_with = (await ungoverned(build, given, free, ground))["messages"][-1].content
    asked = Counter(entry.question for entry in ground.upstream.log)
    assert sorted(free) == tools
    ground.upstream.log.clear()

    called: list[str] = []
    halts = []
    result = await governed(build, given, called, ground, 0)
    while result.status == "halted" and len(halts) < 9:
        halts.append(result.halt)
        result = await governed(build, given, called, ground, len(halts))
    assert result.status == "completed", result
    assert result.output["messages"][-1].content == ends_with
    assert [halt.reason for halt in halts] == ["budget"] * len(tools)
    assert {halt.step for halt in halts} <= {"tool:weather", "tool:hotel"}
    assert sorted(called) == tools, "no journaled tool ran twice"
    assert Counter(entry.question for entry in ground.upstream.log) == asked, "nor was one paid"
    assert result.cost.total == ground.upstream.billed + CENT * len(tools)
    assert result.cost.total == ground.ledger_total()
