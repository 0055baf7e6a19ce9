"""An answer that was passed on to a task inside before the process died, and is given once more."""

import operator
import shutil
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from orchestrator import step

ASKS = "steps: {a: {checks: [form: '^ANSWER'], below_threshold: ask}}"
HAS_LITTLE = "agents: {inner: {budgets: {task: {limit: 0.00004 USD, at: {100%: ask}}}}}"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def about_replies(die):
    async def asks(state: State) -> State:
        return {"said": [(await step("a").ask(f"q{len(state['said'])}")).text]}

    return StateGraph(State).add_sequence([("x", asks), ("y", asks)]).set_entry_point("x")


def of_one_node(die):
    async def asks(state: State) -> State:
        return {"said": [interrupt("First?"), interrupt("Second?")]}

    return StateGraph(State).add_node("x", asks).add_edge(START, "x")


def for_money(die, when_it_runs=lambda: None):
    async def asks(state: State) -> State:
        when_it_runs()
        return {"said": [(await step("b").ask("q")).text]}

    return StateGraph(State).add_node("x", asks).add_edge(START, "x")


def for_money_while_it_runs(die):
    return for_money(die, when_it_runs=die)


def shown(question) -> str:
    """What a person decides about."""
    return question if isinstance(question, str) else question.get("reply") or question["limit"]


@pytest.mark.parametrize(
    ("inside", "policy", "answer", "asked"),
    [
        (about_replies, ASKS, "ANSWER 1", ["one", "two"]),
        (of_one_node, "", "yes", ["First?", "Second?"]),
        (for_money, HAS_LITTLE, "0.00001", ["$0.00004", "$0.00005"]),
        (for_money_while_it_runs, HAS_LITTLE, "0.00001", ["$0.00004", "$0.00005"]),
    ],
)
async def test_it_answers_no_other_question_and_grants_nothing_twice(
    stage, inside, policy, answer, asked
):
    image = stage.folder.parent / f"{stage.folder.name}-when-it-died"
    is_resumed = False

    def die():
        """Keep what is on the disk: another process finds no more than that."""
        if is_resumed and not image.exists():
            shutil.copytree(stage.folder, image)

    graph_inside = inside(die)

    async def node(state: State) -> State:
        try:
            inner = await orchestrator.run(graph_inside, {"said": []}, agent="inner")
        except BaseException:
            die()  # the task inside asks the next question, and this one does not know of it
            raise
        return {"said": inner.output["said"]}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node")
    script = {"q0": "one", "q1": "two", "q": "three"}
    async with stage.orchestrator(policy, script=script) as orchestrator:
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        is_resumed = True
        await orchestrator.resume("t", answer=answer)
    stage.folder = image
    async with stage.orchestrator(policy, script=script) as orchestrator:
        again = await orchestrator.resume("t", graph=graph, answer=answer)

    assert (again.status, again.halt.reason) == ("halted", "question"), again
    assert [shown(one) for one in (*first.questions.values(), *again.questions.values())] == asked
