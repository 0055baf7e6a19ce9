"""An agent that looks at ``should_finish`` ends with an answer, whatever its calls cost."""

import operator
from typing import Annotated, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.graph import END, StateGraph

from orchestrator import Money, current_task, step
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion
from orchestrator.runtime.run.outlay import Outlay


class State(TypedDict, total=False):
    notes: Annotated[list[str], operator.add]
    answer: str


async def research(state: State) -> State:
    """Its prompt grows with every round, and so does what a call may cost."""
    notes = "\n".join(state["notes"])
    return {"notes": [(await step("research").ask(f"{notes}\nWhat else?")).text]}


def where(state: State) -> str:
    return "conclude" if current_task().should_finish else "research"


def graph(*, finish: bool = True):
    async def conclude(state: State) -> State:
        asked = step("answer", finish=finish)
        return {"answer": (await asked.ask("\n".join([*state["notes"], "In all?"]))).text}

    return (
        StateGraph(State)
        .add_node("research", research)
        .add_node("conclude", conclude)
        .set_entry_point("research")
        .add_conditional_edges("research", where, ["research", "conclude"])
        .add_edge("conclude", END)
    )


def spends(share: float):
    """Bills each call this share of what its words could cost."""

    def answer(request) -> Completion:
        text = "".join(message["content"] for message in request.messages)
        usage = Usage(max(int(len(text) * share), 1), 10)
        return Completion(text="noted " * 8, finish_reason="stop", usage=usage, served_model="m")

    return answer


@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize(
    "budgets",
    [
        "budgets: {task: {limit: 0.003 USD, finish_reserve: 0.0004 USD}}\n",
        "budgets: {task: {limit: 0.003 USD}}\n",
        "limits: {model_calls: 5}\n",
    ],
    ids=["with a reserve", "without one", "by calls"],
)
async def test_the_answer_is_reached_within_the_budget(stage, budgets, share):
    async with stage.orchestrator(budgets, script=spends(share)) as orchestrator:
        result = await orchestrator.run(graph(), {"notes": []}, agent="a")

    assert (result.status, result.output["answer"]) == ("completed", "noted " * 8)
    assert len(result.output["notes"]) > 1
    assert result.cost.total <= Money(3_000_000)


@pytest.mark.parametrize("finish", [True, False])
async def test_what_is_kept_for_the_end_pays_the_answer(stage, finish):
    """A step that may not draw on it is refused at the same point: the work would be lost."""
    text = "budgets: {task: {limit: 0.0014 USD, finish_reserve: 0.0006 USD}}\n"
    async with stage.orchestrator(text, script=spends(1.0)) as orchestrator:
        result = await orchestrator.run(graph(finish=finish), {"notes": []}, agent="a")
    if finish:
        assert result.output["answer"] == "noted " * 8
    else:
        assert (result.halt.reason, result.halt.step) == ("budget", "answer")


@given(first=st.integers(1, 10**6), growth=st.integers(0, 10**5), rounds=st.integers(2, 9))
@settings(max_examples=50)
def test_a_call_that_grows_evenly_never_needs_more_than_was_foreseen(first, growth, rounds):
    outlay = Outlay()
    assert outlay.money() is None
    for number in range(rounds):
        outlay.reserved("s", Money(first + growth * number))
    assert outlay.money() == Money(first + growth * rounds)
    assert outlay.money(ahead=2) == Money(first + growth * (rounds + 1))
