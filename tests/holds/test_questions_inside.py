"""What a task inside a task asks: its parent asks it, and the answer reaches whoever asked."""

import asyncio
import json
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from orchestrator import Money, ResumeError, step
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.testing.upstream.server import Upstream

ASKS_ABOUT_REPLIES = "steps: {s: {checks: [form: '^ANSWER'], below_threshold: ask}}"
ASKS_FOR_MONEY = "budgets: {task: {limit: 0.00005 USD, at: {100%: ask}}, team: {limit: 1 USD}}"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def one_node(body, **more) -> StateGraph:
    return StateGraph(State).add_node("node", body, **more).add_edge(START, "node")


def asking(*questions: str) -> StateGraph:
    """Asks a model and then a person, each question of whom is a node of its own."""

    def ask(number: int, question: str):
        async def node(state: State) -> State:
            reply = await step("s").ask(f"<{number}>")
            return {"said": [f"{reply.model}: {interrupt(question)}"]}

        node.__name__ = f"n{number}"
        return node

    nodes = [ask(number, question) for number, question in enumerate(questions)]
    return StateGraph(State).add_sequence(nodes).set_entry_point("n0")


def inside(orchestrators: list[Any], graph: StateGraph, depth: int = 1, **more) -> StateGraph:
    """A graph whose only node runs ``graph`` as a task of its own, ``depth`` times nested."""

    async def node(state: State) -> State:
        inner = await orchestrators[-1].run(graph, {"said": []}, agent=f"inner{depth}")
        return {"said": [*inner.output["said"], f"after {depth}"]}

    outer = one_node(node, **more)
    return outer if depth == 1 else inside(orchestrators, outer, depth - 1)


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_a_question_is_asked_by_the_outermost_task_and_answered_through_it(ground, depth):
    here: list[Any] = []
    graph = inside(here, asking("Go on?", "And now?"), depth)
    async with ground.orchestrator() as orchestrator:
        here.append(orchestrator)
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
    assert (first.status, first.halt.reason, first.output) == ("halted", "question", None)
    assert list(first.questions.values()) == ["Go on?"]
    assert "asks: 'Go on?'; resume with answer=…" in first.halt.detail

    async with ground.orchestrator() as orchestrator:  # another process, as far as it can tell
        here.append(orchestrator)
        second = await orchestrator.resume("t", graph=graph, answer="yes")
        assert list(second.questions.values()) == ["And now?"]
        again = await orchestrator.resume("t", graph=graph)
        assert again.questions == second.questions
        result = await orchestrator.resume("t", graph=graph, answer="stop")

    assert result.status == "completed", result
    said = ["small: yes", "small: stop", *(f"after {one}" for one in range(depth, 0, -1))]
    assert result.output["said"] == said
    assert ground.requests() == {"<0>": 1, "<1>": 1}, "nothing was paid twice"
    assert result.cost.total == ground.upstream.billed


async def test_two_questions_of_one_node_get_an_answer_each(ground):
    """LangGraph gives both the same id."""

    async def asks_twice(state: State) -> State:
        return {"said": [interrupt("First?"), interrupt("Second?")]}

    here: list[Any] = []
    async with ground.orchestrator() as orchestrator:
        here.append(orchestrator)
        graph = inside(here, one_node(asks_twice))
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        second = await orchestrator.resume("t", answer="1")
        result = await orchestrator.resume("t", answer="2")

    assert list(first.questions.values()) == ["First?"]
    assert list(second.questions.values()) == ["Second?"]
    assert result.output["said"] == ["1", "2", "after 1"]


async def test_two_at_once_are_answered_by_id(ground):
    graph = StateGraph(State)
    for name in ("x", "y"):

        async def node(state: State, name: str = name) -> State:
            inner = await orchestrator.run(asking(f"{name}?"), {"said": []}, agent=name)
            return {"said": [f"{name} {inner.output['said'][0]}"]}

        graph.add_node(name, node).add_edge(START, name)
    async with ground.orchestrator() as orchestrator:
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        ids = {question: key for key, question in first.questions.items()}
        assert set(ids) == {"x?", "y?"}
        with pytest.raises(ResumeError, match="asks 2 questions"):
            await orchestrator.resume("t", answer="yes")
        second = await orchestrator.resume("t", answer={ids["y?"]: "why"})
        assert set(second.questions) == {ids["x?"]}
        result = await orchestrator.resume("t", answer="ex")

    assert result.output["said"] == ["x small: ex", "y small: why"]


async def test_a_question_about_a_reply_comes_up_with_the_reply(ground):
    async def asks(state: State) -> State:
        return {"said": [(await step("s").ask("question")).text]}

    here: list[Any] = []
    graph = inside(here, one_node(asks), 2)
    async with ground.orchestrator(ASKS_ABOUT_REPLIES) as orchestrator:
        here.append(orchestrator)
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert (first.halt.reason, first.halt.step) == ("question", "s")
        ((_, question),) = first.questions.items()
        assert question["reply"].startswith("An answer that is long")
        for wrong in (5, " "):
            with pytest.raises(ResumeError, match="answer 'accept'"):
                await orchestrator.resume("t", answer=wrong)
        result = await orchestrator.resume("t", answer="ANSWER: mine")

    assert result.output["said"] == ["ANSWER: mine", "after 2", "after 1"]
    assert ground.requests() == {"question": 1}


async def test_a_task_inside_that_asks_for_money_gets_what_is_granted(ground):
    async def asks(state: State) -> State:
        return {"said": [(await step("s").ask(f"<{len(state['said'])}>")).model]}

    four = StateGraph(State)
    for number in range(4):
        four.add_node(f"n{number}", asks)
        four.add_edge(f"n{number - 1}" if number else START, f"n{number}")
    policy = f"agents: {{inner1: {{{ASKS_FOR_MONEY.replace('0.00005', '0.0002')}}}}}"
    here: list[Any] = []
    async with ground.orchestrator(policy) as orchestrator:
        here.append(orchestrator)
        first = await orchestrator.run(inside(here, four), {"said": []}, agent="a", task_id="t")
        assert first.halt.reason == "question", first
        assert "How much more may the task spend?" in first.halt.detail
        with pytest.raises(ValueError, match="answer: "):
            await orchestrator.resume("t", answer="much")
        result = await orchestrator.resume("t", answer="0.001")

    assert result.status == "completed", result
    assert result.cost.total == ground.upstream.billed == Money(80_000)


async def test_a_node_that_swallows_the_question_commits_nothing(ground):
    async def node(state: State) -> State:
        try:
            inner = await orchestrator.run(asking("Go on?"), {"said": []}, agent="inner")
        except BaseException:
            return {"said": ["made up"]}
        return {"said": inner.output["said"]}

    async with ground.orchestrator() as orchestrator:
        first = await orchestrator.run(one_node(node), {"said": []}, agent="a", task_id="t")
        result = await orchestrator.resume("t", answer="yes")

    assert first.halt.reason == "question"
    assert result.output["said"] == ["small: yes"]


async def test_a_sync_node_passes_it_on_too(ground):
    def node(state: State) -> State:
        inner = orchestrator.run_sync(asking("Go on?"), {"said": []}, agent="inner")
        return {"said": inner.output["said"]}

    async with ground.orchestrator() as orchestrator:
        first = await orchestrator.run(one_node(node), {"said": []}, agent="a", task_id="t")
        result = await orchestrator.resume("t", answer="yes")

    assert first.halt.reason == "question"
    assert result.output["said"] == ["small: yes"]


def call(number: int, name: str, **arguments) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "text": "",
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }


async def test_through_the_tools_of_a_supervisor(ground, tmp_path):
    """``create_agent`` around an agent whose tool asks a person, and a second one beside it."""
    answers = {
        "send the offer": call(1, "ask_clerk", query="mail to Berlin"),
        "mail to Berlin": call(2, "send", city="Berlin"),
        "sent to Berlin, said the boss": {"text": "the clerk has sent the offer to Berlin now"},
        "the clerk has sent the offer to Berlin now": {"text": "all is done as you wished"},
    }
    replies = [
        ground.recorded(one, **{"text": "", **answer, "input_tokens": 10, "output_tokens": 9})
        for one, answer in answers.items()
    ]
    sent = []

    @tool
    def send(city: str) -> str:
        """Send the offer."""
        boss = interrupt(f"Really to {city}?")
        sent.append(city)
        return f"sent to {city}, said the {boss}"

    clerk = create_agent(RoutedChatModel(step="think"), tools=[send], name="clerk")

    @tool
    async def ask_clerk(query: str) -> str:
        """Ask the clerk."""
        given = {"messages": [HumanMessage(query)]}
        done = await here[-1].run(clerk, given, agent="clerk")
        return done.output["messages"][-1].content

    here: list[Any] = []
    supervisor = create_agent(RoutedChatModel(step="think"), tools=[ask_clerk])
    given = {"messages": [HumanMessage("send the offer")]}
    async with Upstream(replies, prices={"small": {"input": "1", "output": "1"}}) as upstream:
        ground = type(ground)(tmp_path, upstream)
        async with ground.orchestrator() as orchestrator:
            here.append(orchestrator)
            first = await orchestrator.run(supervisor, given, agent="a", task_id="t")
        assert (first.halt.reason, list(first.questions.values())) == (
            "question",
            ["Really to Berlin?"],
        )
        assert sent == []
        async with ground.orchestrator() as orchestrator:
            here.append(orchestrator)
            result = await orchestrator.resume("t", graph=supervisor, answer="boss")
        assert result.status == "completed", result
        assert result.output["messages"][-1].content == "all is done as you wished"
        assert sent == ["Berlin"]
        assert len(upstream.log) == 4
        assert result.cost.total == upstream.billed


async def test_a_parent_whose_time_is_over_halts_for_that(ground):
    async def node(state: State) -> State:
        first, second = await asyncio.gather(
            orchestrator.run(asking("Go on?"), {"said": []}, agent="inner"),
            orchestrator.run(one_node(sleeps), {"said": []}, agent="inner"),
            return_exceptions=True,
        )
        return {"said": [repr(first), repr(second)]}

    async def sleeps(state: State) -> State:
        await asyncio.sleep(60)
        return {}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(
            one_node(node), {"said": []}, agent="a", task_id="t", timeout="1s"
        )
        assert (result.status, result.halt.reason) == ("halted", "timeout")
