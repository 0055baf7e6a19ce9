"""Faults of other systems in saying who spent what: each is named, and fails if it comes back."""

import json
from datetime import UTC, datetime

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from orchestrator import Money
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.tools import governed_tools
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.pricing.book import PriceBook
from orchestrator.testing.upstream.server import Upstream

PRICES = {"small": {"input": "1", "output": "1"}}
CENT = Money.from_usd("0.01")


def call(name, **arguments):
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [{"id": "c1", "type": "function", "function": function}]


@pytest.fixture
async def sub_agents(ground, tmp_path):
    """A main agent that asks an expert, which calls a tool."""
    replies = [
        ground.recorded("a holiday", text="", tool_calls=call("ask_expert", query="the sky")),
        ground.recorded("the sky", text="", tool_calls=call("weather", city="Rome")),
        ground.recorded("sunny in Rome", text="the expert says: sunny in Rome"),
        ground.recorded("the expert says: sunny in Rome", text="go to Rome"),
    ]
    async with Upstream(replies, prices=PRICES) as upstream:
        yield type(ground)(tmp_path, upstream)


def holiday_agent(ask_expert):
    model = RoutedChatModel(step="main")
    return create_agent(model, tools=governed_tools([tool(ask_expert)]))


@tool
def weather(city: str) -> str:
    """The weather."""
    return f"sunny in {city}"


def expert():
    return create_agent(RoutedChatModel(step="expert"), tools=governed_tools([weather]))


GIVEN = {"messages": [HumanMessage("a holiday")]}
POLICY = "tools: {weather: {price: 0.01 USD}}"


async def test_a_sub_agent_inside_a_tool_costs_inside_its_task(sub_agents):
    """Elsewhere a session showed $0.00 beside a trace of $2.42: spans outside of the session."""

    async def ask_expert(query: str) -> str:
        """Ask the expert."""
        done = await expert().ainvoke({"messages": [HumanMessage(query)]})
        return done["messages"][-1].content

    async with sub_agents.orchestrator(POLICY) as orchestrator:
        result = await orchestrator.run(
            holiday_agent(ask_expert), GIVEN, agent="holidays", user="u42"
        )
    assert result.status == "completed", result
    rows = sub_agents.spendings()
    assert {(row.task_id, row.agent, row.user) for row in rows} == {
        (result.task_id, "holidays", "u42")
    }
    assert sorted(row.step for row in rows) == [
        *("expert", "expert", "main", "main"),
        *("tool:ask_expert", "tool:weather"),
    ]
    assert result.cost.total == sub_agents.upstream.billed + CENT


async def test_a_sub_agent_run_as_a_task_of_its_own_counts_for_both(sub_agents):
    """Elsewhere a total was set to that of the newest call."""

    async with sub_agents.orchestrator(POLICY) as orchestrator:

        async def ask_expert(query: str) -> str:
            """Ask the expert."""
            given = {"messages": [HumanMessage(query)]}
            done = await orchestrator.run(expert(), given, agent="expert")
            return done.output["messages"][-1].content

        result = await orchestrator.run(holiday_agent(ask_expert), GIVEN, agent="holidays")
    whole = sub_agents.upstream.billed + CENT
    assert result.cost.total == whole == sub_agents.ledger_total()
    with SqliteReader(sub_agents.path) as reader:
        by_agent = {one.group[0]: one.cost for one in reader.totals(["agent"])}
        tasks = reader.totals(["task"])
    assert by_agent == {
        "holidays": sub_agents.upstream.billed - Money(40_000),
        "expert": Money(40_000) + CENT,
    }
    assert len(tasks) == 2


async def test_no_row_is_of_an_unknown_agent(ground):
    """Elsewhere every row read "unknown", because nothing had ever set the agent's key."""
    async with ground.orchestrator() as orchestrator:
        await RoutedChatModel(step="answer").ainvoke("<1>")
        await RoutedChatModel(step="answer", agent="helper").ainvoke("<2>")
        graph = StateGraph(MessagesState).add_node("n", lambda _: {}).add_edge(START, "n")
        for missing in ("", " ", None, "a/b"):
            with pytest.raises((ValueError, TypeError)):
                await orchestrator.run(graph, GIVEN, agent=missing)
        with pytest.raises(TypeError, match="agent"):
            await orchestrator.run(graph, GIVEN)
    assert [row.agent for row in ground.spendings()] == ["answer", "helper"]


def test_a_name_with_its_providers_prefix_is_the_same_model():
    """Elsewhere a name with a prefix missed the price list, cost nothing, and won every choice."""
    now = datetime.now(UTC)
    quotes = {
        name: PriceBook().quote(name, override=None, at=now)
        for name in ("openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini")
    }
    assert all(quote is not None and quote.bound(1000, 1000) for quote in quotes.values()), quotes


async def test_tools_of_one_name_on_two_servers_are_two_tools(ground):
    """Prefixed names again: what a server's tools cost must not fall on a tool of another's."""
    here, there = (governed_tools([weather], server=name)[0] for name in ("here", "there"))

    async def node(state: MessagesState) -> MessagesState:
        for one in (here, there, weather):
            await one.ainvoke({"city": "Rome"})
        return {"messages": []}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    policy = "tools: {'mcp:here/*': {price: 0.01 USD}, 'mcp:there/*': {price: 0.02 USD}}"
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(graph, GIVEN, agent="a")
    assert result.status == "completed", result
    assert {row.step: row.cost for row in ground.spendings()} == {
        "tool:mcp:here/weather": CENT,
        "tool:mcp:there/weather": CENT * 2,
    }


@pytest.mark.parametrize("streams", [False, True])
async def test_tokens_are_counted_once(ground, tmp_path, streams):
    """Elsewhere cached and reasoning tokens, which lie inside the others, were added on top.

    Streams were counted with each piece.
    """
    reply = ground.recorded(
        "question",
        input_tokens=100,
        output_tokens=10,
        cached_input_tokens=60,
        reasoning_tokens=4,
    )
    seen = []

    async def node(state: MessagesState) -> MessagesState:
        model = RoutedChatModel(step="s")
        if streams:
            pieces = [piece async for piece in model.astream("question")]
            whole = pieces[0]
            for piece in pieces[1:]:
                whole += piece
            assert len(pieces) > 1
        else:
            whole = await model.ainvoke("question")
        seen.append(whole.usage_metadata)
        return {"messages": []}

    graph = StateGraph(MessagesState).add_node("n", node).add_edge(START, "n")
    async with Upstream([reply], prices=PRICES) as upstream:
        place = type(ground)(tmp_path, upstream)
        async with place.orchestrator("limits: {tokens: 1000}") as orchestrator:
            result = await orchestrator.run(graph, GIVEN, agent="a")
    assert result.status == "completed", result
    (usage,) = seen
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (100, 10, 110)
    assert usage["input_token_details"]["cache_read"] == 60
    (row,) = place.spendings()
    assert (row.usage.input_tokens, row.usage.output_tokens) == (100, 10)
    assert row.cost <= Money(110_000)
