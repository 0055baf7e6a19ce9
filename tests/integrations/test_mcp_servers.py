"""The tools of a real MCP server, by the official packages, under the rules of a policy."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langgraph.graph import START, StateGraph

from orchestrator import Money
from orchestrator.core.events import ToolFailed
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.middleware import GovernedMiddleware
from orchestrator.integrations.tools import governed_tools
from orchestrator.ledger.factory import reader_from_url
from orchestrator.models.protocol import ToolCall
from orchestrator.models.scripted import ScriptedReply

SERVER = str(Path(__file__).parent / "mcp_server.py")
CENT = Money.from_usd("0.01")
GIVEN = {"messages": [HumanMessage("How is the sky?")]}
POLICY = """
tools:
  "mcp:sky/*": {price: 0.01 USD, journal: on}
  "mcp:sky/stars": {price: 0.02 USD, journal: on}
"""


class Sky:
    """The server: over HTTP, in a process that lives as long as the tests of this file."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "calls"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, SERVER, self.log, str(self.port)], stderr=subprocess.DEVNULL
        )

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError

    def called(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def tools(self):
        url = f"http://127.0.0.1:{self.port}/mcp"
        client = MultiServerMCPClient({"sky": {"transport": "streamable_http", "url": url}})
        return await client.get_tools()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    sky = Sky(tmp_path_factory.mktemp("sky"))
    sky.wait()
    yield sky
    sky.process.terminate()
    sky.process.wait()


@pytest.fixture
def sky(server):
    server.log.unlink(missing_ok=True)
    return server


def calls_for(*calls: tuple[str, str]):
    """A model that wants these tools called, one after another, and then says what it was told."""

    def react(request):
        told = [one["content"] for one in request.messages if one["role"] == "tool"]
        if len(told) == len(calls):
            return f"told: {told}"
        name, city = calls[len(told)]
        call = ToolCall(f"c{len(told)}", name, json.dumps({"city": city}))
        return ScriptedReply(tool_calls=(call,))

    return react


async def agent_of(sky):
    tools = governed_tools(await sky.tools(), server="sky")
    return create_agent(RoutedChatModel(step="think"), tools=tools)


CALLS = (("weather", "Rome"), ("stars", "Paris"), ("weather", "Bonn"))


async def test_they_are_priced_halt_are_journaled_and_go_on_elsewhere(stage, sky):
    policy = f"{POLICY}\nbudgets: {{task: {{limit: 0.035 USD}}}}"
    async with stage.orchestrator(policy, script=calls_for(*CALLS)) as orchestrator:
        halted = await orchestrator.run(await agent_of(sky), GIVEN, agent="a", task_id="t")
    assert (halted.halt.reason, halted.halt.step) == ("budget", "tool:mcp:sky/weather")
    assert sky.called() == ["weather Rome", "stars Paris"]

    async with stage.orchestrator(policy, script=calls_for(*CALLS)) as orchestrator:
        agent = await agent_of(sky)
        result = await orchestrator.resume("t", graph=agent, add_budget="0.02")
    assert result.status == "completed", result
    said = result.output["messages"][-1].content
    assert all(one in said for one in ("sunny in Rome", '"stars": 5', "sunny in Bonn"))
    assert sky.called() == ["weather Rome", "stars Paris", "weather Bonn"]
    assert len(stage.asked) == 4, "no model was asked twice"
    tools = {(one.step, one.cost) for one in result.attempts if one.step.startswith("tool:")}
    assert tools == {("tool:mcp:sky/weather", CENT), ("tool:mcp:sky/stars", CENT * 2)}
    with reader_from_url(stage.store) as reader:
        timed = [one.seconds for one in reader.attempts() if one.step.startswith("tool:")]
    assert len(timed) == 3, "the one that was refused money is no attempt"
    assert all(0 < seconds < 60 for seconds in timed)


async def test_a_node_that_runs_again_does_not_call_again(stage, sky):
    """What the server said has new ids each time, so a second call would be a new prompt, too."""
    tools = {one.name: one for one in governed_tools(await sky.tools(), server="sky")}
    model = RoutedChatModel(step="think")
    fails = [True]

    async def node(state):
        call = {"type": "tool_call", "id": "c", "name": "weather", "args": {"city": "Rome"}}
        told = await tools["weather"].ainvoke(call)
        answer = await model.ainvoke([*GIVEN["messages"], HumanMessage(told.content)])
        if fails:
            fails.clear()
            raise ConnectionError
        return {"messages": [answer], "artifact": told.artifact}

    graph = StateGraph(dict).add_node("n", node).add_edge(START, "n")
    async with stage.orchestrator(POLICY, script=lambda _: "fine") as orchestrator:
        failed = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert failed.status == "failed"
        result = await orchestrator.resume("t")
    assert result.status == "completed", result
    assert result.output["artifact"] == {"structured_content": {"result": "sunny in Rome"}}
    assert sky.called() == ["weather Rome"]
    assert len(stage.asked) == 1


async def test_a_limit_per_tool_halts_and_is_raised(stage, sky):
    policy = "tools: {'mcp:sky/weather': {limit: 1}}"
    async with stage.orchestrator(policy, script=calls_for(*CALLS)) as orchestrator:
        halted = await orchestrator.run(await agent_of(sky), GIVEN, agent="a", task_id="t")
        assert (halted.halt.reason, halted.halt.step) == ("tool_calls", "tool:mcp:sky/weather")
        assert "1 of 1 calls of 'mcp:sky/weather'" in halted.halt.detail
        result = await orchestrator.resume("t", extend={"tool_calls": 1})
    assert result.status == "completed", result
    assert sky.called() == ["weather Rome", "stars Paris", "weather Bonn"]


async def test_what_the_server_calls_an_error_is_told_paid_and_evidence(stage, sky):
    async with stage.orchestrator(POLICY, script=calls_for(("storm", "Rome"))) as orchestrator:
        result = await orchestrator.run(await agent_of(sky), GIVEN, agent="a")
    assert result.status == "completed", result
    assert "no storm in Rome" in result.output["messages"][-1].content
    tool = [one for one in result.attempts if one.step == "tool:mcp:sky/storm"]
    assert [(one.cost, one.certainty) for one in tool] == [(CENT, "estimated")]
    (failed,) = [one for one in stage.events if isinstance(one, ToolFailed)]
    assert (failed.tool, failed.step, failed.model) == ("mcp:sky/storm", "think", "small")


async def test_one_that_takes_too_long_is_left_and_booked(stage, sky):
    policy = "tools: {'mcp:sky/moon': {price: 0.01 USD, timeout: 300ms}}"
    async with stage.orchestrator(policy, script=calls_for(("moon", "Rome"))) as orchestrator:
        result = await orchestrator.run(await agent_of(sky), GIVEN, agent="a")
    assert result.status == "failed"
    assert "ToolTimedOut" in result.error
    (tool,) = [one for one in result.attempts if one.step == "tool:mcp:sky/moon"]
    assert (tool.cost, tool.certainty) == (CENT, "estimated")


async def test_an_agent_that_keeps_its_model_and_its_tools_is_governed_by_the_middleware(
    stage, sky
):
    governed = GovernedMiddleware("think", server="sky")
    agent = create_agent(
        RoutedChatModel(step="other"),
        tools=await sky.tools(),
        middleware=[governed],
    )
    async with stage.orchestrator(POLICY, script=calls_for(("stars", "Rome"))) as orchestrator:
        result = await orchestrator.run(agent, GIVEN, agent="a")
    assert result.status == "completed", result
    assert {one.step for one in result.attempts} == {"think", "tool:mcp:sky/stars"}
    assert sky.called() == ["stars Rome"]


async def test_over_standard_input_and_output_in_a_session(stage, tmp_path):
    log = tmp_path / "calls"
    started = {"transport": "stdio", "command": sys.executable, "args": [SERVER, str(log)]}
    client = MultiServerMCPClient({"sky": started})
    async with asyncio.timeout(60), client.session("sky") as session:
        tools = governed_tools(await load_mcp_tools(session), server="sky")
        agent = create_agent(RoutedChatModel(step="think"), tools=tools)
        async with stage.orchestrator(POLICY, script=calls_for(*CALLS)) as orchestrator:
            result = await orchestrator.run(agent, GIVEN, agent="a")
    assert result.status == "completed", result
    assert log.read_text().splitlines() == ["weather Rome", "stars Paris", "weather Bonn"]
    tools_cost = sum(
        (one.cost for one in result.attempts if one.step.startswith("tool:")), Money.ZERO
    )
    assert tools_cost == CENT * 4
