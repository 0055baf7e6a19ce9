"""What tools, judges and tests say of a reply is learned beside what people say, and told."""

import json
from datetime import UTC, datetime

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from typer.testing import CliRunner
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.cli.main import app
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.ledger.records import Decision
from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.models.scripted import ScriptedReply
from orchestrator.reports.routing import status
from orchestrator.runtime.storage.journal import Journal, JournaledReply


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    if city == "nowhere":
        message = "no such city"
        raise ValueError(message)
    return f"sunny in {city}"


def said(*arguments):
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == 0, found.output
    return " ".join(found.output.split())


async def outcomes(orchestrator):
    found = await orchestrator._services.ledger.lessons("research")
    return [
        (one.body["source"], one.body["score"], one.subject)
        for one in found
        if one.kind == "outcome"
    ]


@pytest.mark.parametrize(("city", "score"), [("Rome", 1.0), ("nowhere", 0.0)])
async def test_what_became_of_its_tools_is_a_sign_of_what_a_reply_was_worth(
    stage, invoked, city, score
):
    call = ToolCall("c0", "weather", json.dumps({"city": city}))
    script = [ScriptedReply(tool_calls=(call,)), "done"]
    agent = create_agent(RoutedChatModel(step="think"), tools=[weather])
    async with stage.orchestrator("", script=script) as orchestrator:
        asked = {"messages": [HumanMessage("How is the weather?")]}
        result = await orchestrator.run(agent, asked, agent="a", task_id="t")
        found = await outcomes(orchestrator)
    first = next(row for row in stage.rows() if row.kind == "ask")
    assert found == [("tool", score, first.attempt_id)]
    assert result.status == ("completed" if score else "failed")
    words = await invoked(said, "task", "explain", "t", "--store", stage.store)
    outcome = "working" if score else "failing"
    assert f"What came of it: {outcome} by the tools it called (a sign)." in words
    (told,) = status(stage.store)
    assert (told.labels, told.state) == (0, "uncalibrated")


def test_a_sign_is_of_the_reply_that_answered_though_another_used_the_same_id():
    journal, call = Journal(), ToolCall("call_0", "weather", "{}")
    completion = Completion(text="", finish_reason="tool_calls", tool_calls=(call,), usage=None)
    for name in ("small", "large"):
        journal.add("k", JournaledReply(name, name, completion, Money(1)))
    journal.decisions["k"] = Decision(
        task_id="t",
        key="k",
        step="s",
        attempt_id="large",
        accepted=True,
        confidence=None,
        confidence_state="uncalibrated",
        at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    assert journal.asker("call_0") == ("s", journal.replies["k"][1])


class State(TypedDict, total=False):
    state: str


async def ask(state: State) -> State:
    reply = await step("s").ask("what is one and one")
    return {"state": reply.confidence_state}


GRAPH = StateGraph(State).add_node("node", ask).add_edge(START, "node")
JUDGED = "steps: {s: {confidence: 0.8, checks: [judge: {model: large, budget: 1 USD}]}}"


def judged(request):
    is_judging = request.messages[0]["role"] == "system"
    text = '{"why": "so", "acceptable": true}' if is_judging else "It is 3"
    return Completion(text=text, finish_reason="stop", usage=Usage(10, 5))


async def test_a_judge_calibrates_nothing_and_is_believed_less_once_it_was_wrong(stage, invoked):
    async with stage.orchestrator(JUDGED, script=judged) as orchestrator:
        for number in range(35):
            done = await orchestrator.run(GRAPH, {}, agent="a", task_id=f"t{number}")
        assert done.output["state"] == "uncalibrated"
        for number in range(25):
            await orchestrator.feedback(f"t{number}", success=False)
    (told,) = status(stage.store)
    assert (told.state, told.sources) == ("uncalibrated", {"user": 25})
    (judge,) = told.checks
    assert (judge.name, judge.replies) == ("judge", 25)
    assert judge.passes_wrong > 0.7
    words = await invoked(said, "task", "explain", "t0", "--store", stage.store)
    assert "What came of it: wrong by the user; right by the judge: that counts less." in words
    table = await invoked(said, "routing", "status", "--store", stage.store)
    assert "labels from user 25" in table
    assert "judge 25" in table


async def test_executed_tests_calibrate_a_step_that_nobody_tells_anything(stage):
    (stage.folder / "tests.py").write_text("from reply import one\nassert one() == 1\n")
    policy = "steps: {s: {confidence: 0.8, checks: [tests: {file: tests.py}]}}"
    code = "```python\ndef one():\n    return 1\n```"
    async with stage.orchestrator(policy, script=lambda _: code) as orchestrator:
        for number in range(31):
            done = await orchestrator.run(GRAPH, {}, agent="a", task_id=f"t{number}")
    assert done.output["state"] == "calibrated"
    (told,) = status(stage.store)
    assert told.sources == {"check": 31}
