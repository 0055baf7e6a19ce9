"""``below_threshold: ask``: a person decides about the best reply, and nothing is paid twice."""

import asyncio
import operator
from itertools import chain, repeat
from typing import Annotated, TypedDict

import pydantic
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, interrupt
from typer.testing import CliRunner

from orchestrator import step
from orchestrator.cli.main import app
from orchestrator.core.errors import ResumeError
from orchestrator.core.events import AttemptStarted, StepDecided
from orchestrator.models.protocol import ModelCallError

POLICY = "steps: {a: {checks: [form: '^ANSWER'], below_threshold: ask}, free: {}}"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


class Answer(pydantic.BaseModel):
    value: int


def shown(reply):
    return f"{reply.model}: {reply.text}"


async def asks(state):
    return {"said": [shown(await step("a").ask("What is 2 + 3?"))]}


def graph_of(*nodes, **options):
    """A graph whose nodes run side by side."""
    graph = StateGraph(State)
    for number, node in enumerate(nodes):
        graph.add_node(f"n{number}", node, **options)
        graph.add_edge(START, f"n{number}")
        graph.add_edge(f"n{number}", END)
    return graph


def attempts(stage):
    return [one.model for one in stage.events if isinstance(one, AttemptStarted)]


async def test_a_person_is_shown_the_best_reply_and_why(stage):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        result = await orchestrator.run(graph_of(asks), {}, agent="x")

    assert (result.status, result.output) == ("halted", None)
    assert (result.halt.reason, result.halt.step) == ("question", "a")
    ((key, question),) = result.questions.items()
    assert question["key"] == key
    assert (question["step"], question["model"], question["reply"]) == ("a", "large", "It is 5.")
    assert question["why"] == {"form": "nothing in the reply matches '^ANSWER'"}
    assert "of large, failed form" in result.halt.detail
    assert "It is 5." not in result.halt.detail


@pytest.mark.parametrize(
    ("answer", "said"), [("accept", "large: It is 5."), ("ANSWER: five", "person: ANSWER: five")]
)
async def test_an_answer_goes_on_in_another_process_for_nothing(stage, answer, said):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        before = await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
    assert attempts(stage) == ["small", "large"]

    async with stage.orchestrator(POLICY, script=[]) as orchestrator:
        result = await orchestrator.resume("t", graph=graph_of(asks), answer=answer)

    assert (result.status, result.output["said"]) == ("completed", [said])
    assert result.cost == before.cost
    assert attempts(stage) == ["small", "large"]
    assert [one.model for one in result.attempts] == ["small", "large"]
    assert [one.accepted for one in stage.events if isinstance(one, StepDecided)] == [True]
    assert result.questions == {}


async def test_a_reply_of_a_person_is_replayed_and_not_asked_for_again(stage):
    fail = True

    async def then_fails(state):
        reply = await step("a").ask("What is 2 + 3?")
        if fail:
            raise RuntimeError
        return {"said": [shown(reply)]}

    graph = graph_of(then_fails)
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        await orchestrator.run(graph, {}, agent="x", task_id="t")
        failed = await orchestrator.resume("t", answer="five")
    assert failed.status == "failed"

    fail = False
    async with stage.orchestrator(POLICY, script=[]) as orchestrator:
        result = await orchestrator.resume("t", graph=graph)

    assert result.output["said"] == ["person: five"]
    assert attempts(stage) == ["small", "large"]


async def test_to_halt_is_an_answer_too(stage):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
        halted = await orchestrator.resume("t", answer="halt")
        again = await orchestrator.resume("t")
        result = await orchestrator.resume("t", answer="accept")

    assert (halted.status, halted.halt.reason, halted.halt.step) == ("halted", "confidence", "a")
    assert again.halt.reason == "question"
    assert result.status == "completed"
    assert attempts(stage) == ["small", "large"]


async def test_without_an_answer_it_asks_again_and_pays_nothing(stage):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        first = await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
        second = await orchestrator.resume("t")

    assert second.questions == first.questions
    assert attempts(stage) == ["small", "large"]


async def test_what_a_person_writes_follows_the_schema_of_the_ask(stage):
    async def typed(state):
        reply = await step("a").ask("What is 2 + 3?", schema=Answer)
        return {"said": [repr(reply.parsed)]}

    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        await orchestrator.run(graph_of(typed), {}, agent="x", task_id="t")
        refused = await orchestrator.resume("t", answer="five")
        result = await orchestrator.resume("t", answer='{"value": 5}')

    ((_, question),) = refused.questions.items()
    assert question["problem"].startswith("the answer is no reply: $: Invalid JSON")
    assert result.output["said"] == ["Answer(value=5)"]


@pytest.mark.parametrize("answer", [True, 5, "", "  ", {"yes": "accept"}])
async def test_an_answer_that_is_none_is_refused_before_anything_happens(stage, answer):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
        with pytest.raises(ResumeError, match="answer 'accept'"):
            await orchestrator.resume("t", answer=answer)
        result = await orchestrator.resume("t", answer="accept")

    assert result.status == "completed"


async def test_each_of_several_asks_of_one_node_gets_its_own_answer(stage):
    """They come in another order the second time: an answer must find its ask all the same."""
    turns = chain([("b", "a")], repeat(("a", "b")))

    async def both(state):
        order = next(turns)
        gate = asyncio.Event()

        async def ask(name):
            if name == order[1]:
                await gate.wait()
            try:
                return shown(await step("a").ask(name))
            finally:
                gate.set()

        return {"said": list(await asyncio.gather(ask("a"), ask("b")))}

    async with stage.orchestrator(
        POLICY, script=lambda request: f"of {request.messages[0]['content']}"
    ) as orchestrator:
        result = await orchestrator.run(graph_of(both), {}, agent="x", task_id="t")
        asked = []
        while result.status == "halted":
            ((key, question),) = result.questions.items()
            asked.append(question["reply"])
            result = await orchestrator.resume("t", answer={key: question["reply"].upper()})

    # What is asked second cuts off the first, whose question may so come twice.
    assert asked[:2] == ["of b", "of a"]
    assert len(asked) <= 3
    assert result.output["said"] == ["person: OF A", "person: OF B"]
    assert len(attempts(stage)) == 4


async def test_questions_of_nodes_side_by_side_wait_together_with_the_graphs_own(stage):
    async def other(state):
        return {"said": [shown(await step("a").ask("What is 3 + 3?"))]}

    async def own(state):
        return {"said": [f"graph: {interrupt('Go on?')}"]}

    async def free(state):
        return {"said": [(await step("free").ask("anything")).text]}

    graph = graph_of(asks, other, own, free)
    script = {"2 + 3": "five", "3 + 3": "six", "anything": "done"}
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        first = await orchestrator.run(graph, {}, agent="x", task_id="t")
        assert first.partial.get("said") in (None, [], ["done"])
        ids = {
            (one if isinstance(one, str) else one["reply"]): key
            for key, one in first.questions.items()
        }
        assert set(ids) == {"five", "six", "Go on?"}
        some = {ids["five"]: "accept", ids["Go on?"]: "yes"}
        second = await orchestrator.resume("t", answer=some)
        ((key, _),) = second.questions.items()
        assert key == ids["six"]
    async with stage.orchestrator(POLICY, script=[]) as orchestrator:
        result = await orchestrator.resume("t", graph=graph, answer="6")

    assert sorted(result.output["said"]) == ["done", "graph: yes", "large: five", "person: 6"]
    assert len(attempts(stage)) == 5


@pytest.mark.parametrize("swallowed", [Exception, BaseException])
async def test_a_node_that_swallows_the_question_commits_nothing(stage, swallowed):
    async def swallows(state):
        try:
            return await asks(state)
        except swallowed:
            return {"said": ["made up"]}

    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        first = await orchestrator.run(graph_of(swallows), {}, agent="x", task_id="t")
        result = await orchestrator.resume("t", answer="accept")

    assert first.halt.reason == "question"
    assert result.output["said"] == ["large: It is 5."]


@pytest.mark.parametrize("kind", ["sync", "subgraph", "inner call", "retried", "task group"])
async def test_a_question_passes_through_whatever_is_around_the_ask(stage, kind):
    def in_thread(state):
        return {"said": [shown(step("a").ask_sync("What is 2 + 3?"))]}

    async def calls_a_graph(state):
        return await graph_of(asks).compile().ainvoke({"said": []})

    async def in_a_group(state):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(asks(state))
        return asking.result()

    graphs = {
        "sync": lambda: graph_of(in_thread),
        "subgraph": lambda: graph_of(graph_of(asks).compile()),
        "inner call": lambda: graph_of(calls_a_graph),
        "retried": lambda: graph_of(asks, retry_policy=RetryPolicy(max_attempts=3)),
        "task group": lambda: graph_of(in_a_group),
    }
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        first = await orchestrator.run(graphs[kind](), {"said": []}, agent="x", task_id="t")
    assert (first.status, first.halt.reason) == ("halted", "question")
    assert [one["reply"] for one in first.questions.values()] == ["It is 5."]
    async with stage.orchestrator(POLICY, script=[]) as orchestrator:
        result = await orchestrator.resume("t", graph=graphs[kind](), answer="accept")

    assert (result.status, result.output["said"]) == ("completed", ["large: It is 5."])


async def test_the_answer_is_used_before_a_model_that_was_down_is_asked(stage):
    def script(request):
        if request.settings.name == "large":
            return ModelCallError("rejected", "no such model", status=404)
        return "It is 5."

    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
    async with stage.orchestrator(POLICY, script=[]) as orchestrator:
        result = await orchestrator.resume("t", graph=graph_of(asks), answer="accept")

    assert result.output["said"] == ["small: It is 5."]


async def test_the_answer_of_a_person_is_no_attempt(stage, invoked):
    async with stage.orchestrator(POLICY, script=lambda _: "It is 5.") as orchestrator:
        await orchestrator.run(graph_of(asks), {}, agent="x", task_id="t")
        await orchestrator.resume("t", answer="ANSWER: five")
    shows = ["task", "show", "t", "--store", stage.store]
    assert "in 2 attempts" in (await invoked(CliRunner().invoke, app, shows)).output
