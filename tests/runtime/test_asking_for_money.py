"""``100%: ask``: a budget that is used up becomes a question to a person."""

import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt

from orchestrator import Money, ResumeError, current_task, step, tool_cost
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion
from orchestrator.testing.fake_clock import FakeClock

ASKS = "budgets: {task: {limit: 0.0003 USD, at: {100%: ask}}}\n"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def answer(_) -> Completion:
    return Completion(text="ok", finish_reason="stop", usage=Usage(99, 1), served_model="m")


def asks(number: int, before=None):
    async def node(state: State) -> State:
        if before is not None:
            before()
        await step(f"s{number}").ask(f"question {number}")
        return {"said": [f"n{number}"]}

    node.__name__ = f"n{number}"
    return node


FOUR = StateGraph(State).add_sequence([asks(number) for number in range(4)]).set_entry_point("n0")


async def test_a_task_asks_for_more_and_goes_on_with_what_is_granted(stage):
    async with stage.orchestrator(ASKS, script=answer) as orchestrator:
        halted = await orchestrator.run(FOUR, {"said": []}, agent="a", task_id="t")

        assert (halted.status, halted.halt.reason, halted.halt.scope) == (
            "halted",
            "question",
            "task",
        )
        assert (halted.halt.limit, halted.halt.step) == (Money(300_000), "s2")
        assert "How much more may the task spend?" in halted.halt.detail
        assert halted.partial["said"] == ["n0", "n1"]

        saver = orchestrator._services.saver
        checkpoint = await saver.aget_tuple({"configurable": {"thread_id": "t"}})
        (asked,) = [one for _, name, one in checkpoint.pending_writes if name == "__interrupt__"]
        assert asked[0].value["asks_for"] == "budget"

        done = await orchestrator.resume("t", answer="0.0002")

    assert (done.status, done.output["said"]) == ("completed", ["n0", "n1", "n2", "n3"])
    assert stage.asked == [f"question {number}" for number in range(4)]


async def test_what_is_granted_is_added_to_the_budget_and_used_up_again(stage):
    async with stage.orchestrator(ASKS, script=answer) as orchestrator:
        await orchestrator.run(FOUR, {"said": []}, agent="a", task_id="t")
        again = await orchestrator.resume("t", answer=Money(100_000))
        assert (again.halt.reason, again.halt.limit, again.halt.step) == (
            "question",
            Money(400_000),
            "s3",
        )
        assert (await orchestrator.resume("t")).halt.step == "s3"
        done = await orchestrator.resume("t", add_budget="0.001")
    assert done.status == "completed"


@pytest.mark.parametrize("said", ["yes", "", "-1", 0.1])
async def test_an_answer_that_is_no_amount_changes_nothing(stage, said):
    async with stage.orchestrator(ASKS, script=answer) as orchestrator:
        await orchestrator.run(FOUR, {"said": []}, agent="a", task_id="t")
        with pytest.raises(ValueError, match="answer"):
            await orchestrator.resume("t", answer=said)
        with pytest.raises(ValueError, match="pass one of them"):
            await orchestrator.resume("t", answer="1", add_budget="1")


async def test_a_parked_task_does_not_age(stage):
    clock = FakeClock()
    text = ASKS + "limits: {timeout: 1m}\n"
    async with stage.orchestrator(text, script=answer, clock=clock) as orchestrator:
        await orchestrator.run(FOUR, {"said": []}, agent="a", task_id="t")
        clock.advance(hours=1)
        done = await orchestrator.resume("t", answer="0.001")
    assert done.status == "completed"


async def test_siblings_keep_their_work_and_the_question_comes_once(stage):
    async def worker(state: dict) -> State:
        await step("s").ask(f"branch {state['number']}")
        return {"said": [str(state["number"])]}

    graph = StateGraph(State).add_node("worker", worker)
    graph.add_conditional_edges(
        START, lambda _: [Send("worker", {"number": number}) for number in range(4)]
    )
    async with stage.orchestrator(ASKS, script=answer) as orchestrator:
        halted = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert halted.halt.reason == "question"
        paid = len(stage.asked)
        assert 1 <= paid < 4
        done = await orchestrator.resume("t", answer="0.01")
    assert sorted(done.output["said"]) == ["0", "1", "2", "3"]
    assert len(stage.asked) == 4


async def test_the_graphs_own_question_is_still_its_own(stage):
    """An amount granted is no answer to what the graph asks, and the other way round."""
    asked = []

    def before() -> None:
        asked.append(interrupt("which colour?"))

    graph = StateGraph(State)
    graph.add_sequence([asks(0), asks(1), asks(2, before), asks(3)]).set_entry_point("n0")
    async with stage.orchestrator(ASKS, script=answer) as orchestrator:
        first = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert (first.halt.reason, first.halt.limit) == ("question", None)
        second = await orchestrator.resume("t", answer="red")
        assert (second.halt.reason, second.halt.limit) == ("question", Money(300_000))
        done = await orchestrator.resume("t", answer="0.01")
    assert done.status == "completed"
    assert set(asked) == {"red"}


async def test_without_ask_it_halts_and_has_no_question(stage):
    text = ASKS.replace(", at: {100%: ask}", "")
    async with stage.orchestrator(text, script=answer) as orchestrator:
        halted = await orchestrator.run(FOUR, {"said": []}, agent="a", task_id="t")
        assert halted.halt.reason == "budget"
        with pytest.raises(ResumeError, match="asks nothing"):
            await orchestrator.resume("t", answer="0.01")


async def test_a_tool_asks_for_more_too(stage):
    @tool_cost("0.0002 USD")
    async def search(query):
        return "found"

    async def node(state: State) -> State:
        return {"said": [await search("first"), await search("second")]}

    graph = StateGraph(State).add_sequence([node]).set_entry_point("node")
    async with stage.orchestrator(ASKS) as orchestrator:
        halted = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert (halted.halt.reason, halted.halt.step) == ("question", "tool:search")
        done = await orchestrator.resume("t", answer="0.0003")

    assert (done.status, done.output["said"]) == ("completed", ["found", "found"])


async def test_a_charge_asks_for_more_too_and_is_booked_once(stage):
    async def node(state: State) -> State:
        current_task().charge("gpu_second", 2)
        return {"said": [(await step("s").ask("and on")).text]}

    graph = StateGraph(State).add_sequence([node]).set_entry_point("node")
    text = ASKS + "resources: {gpu_second: 0.0002 USD}"
    async with stage.orchestrator(text, script=answer) as orchestrator:
        halted = await orchestrator.run(graph, {"said": []}, agent="a", task_id="t")
        assert (halted.halt.reason, halted.halt.step) == ("question", "resource:gpu_second")
        assert "used $0.0004, and $0.00 of $0.0003 is otherwise spent. How much" in (
            halted.halt.detail
        )
        done = await orchestrator.resume("t", answer="0.001")

    assert (done.status, done.output["said"]) == ("completed", ["ok"])
    assert [one.cost for one in done.attempts] == [Money(400_000), Money(100_000)]
