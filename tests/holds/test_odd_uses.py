"""What users do that nobody planned: it works, or it says what is wrong, and no money is lost."""

import asyncio
import operator
import threading
import time
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from orchestrator import OrchestratorError, ResumeError, current_task, step
from orchestrator.core.errors import NoRunningTask
from orchestrator.testing.upstream.faults import Fault


class State(TypedDict, total=False):
    done: Annotated[list[Any], operator.add]
    anything: Any


GIVEN = {"done": []}


def one_node(body) -> StateGraph:
    return StateGraph(State).add_node("node", body).add_edge(START, "node")


def asks(count: int) -> StateGraph:
    async def node(state: State) -> State:
        return {"done": [(await step("s").ask(f"<{number}>")).model for number in range(count)]}

    return one_node(node)


def nothing_is_held(ground) -> None:
    assert ground.in_flight() == set()
    assert {one.certainty for one in ground.spendings()} <= {"known", "estimated"}


# Outside of a task, and outside of the orchestrator's time


async def test_asking_outside_of_a_task_says_where_it_works(ground):
    async with ground.orchestrator():
        for ask in (current_task, lambda: step("s").stream("<1>")):
            with pytest.raises(NoRunningTask, match=r"Orchestrator\.run"):
                await ask()
    with pytest.raises(NoRunningTask, match=r"Orchestrator\.run"):
        await step("s").ask("<1>")
    assert ground.upstream.log == []


async def test_a_closed_orchestrator_says_so(ground):
    orchestrator = ground.orchestrator()
    with pytest.raises(OrchestratorError, match="not open"):
        await orchestrator.run(asks(1), GIVEN, agent="a")
    async with orchestrator:
        pass
    with pytest.raises(OrchestratorError, match="not open"):
        await orchestrator.run(asks(1), GIVEN, agent="a")


async def test_closing_halts_what_runs_and_it_resumes(ground):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))

    async def sleeps(state: State) -> State:
        await step("s").ask("<9>")
        await asyncio.sleep(600)
        return {}

    async with ground.orchestrator() as orchestrator:
        running = [
            asyncio.create_task(orchestrator.run(graph, GIVEN, agent="a", task_id=name))
            for name, graph in (("asks", asks(8)), ("sleeps", one_node(sleeps)))
        ]
        while len(ground.upstream.log) < 4:
            await asyncio.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    results = await asyncio.wait_for(asyncio.gather(*running), 5)
    assert [(one.status, one.halt.reason) for one in results] == [("halted", "paused")] * 2
    assert "closed" in results[0].halt.detail
    nothing_is_held(ground)
    assert {one.certainty for one in ground.spendings()} == {"known"}, "the wire was not cut"
    ground.upstream.clear_faults()
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.resume("asks", graph=asks(8))
    assert result.status == "completed"
    assert ground.requests() == {f"<{number}>": 1 for number in (*range(8), 9)}


async def test_a_run_that_is_cancelled_from_outside_is_a_halt_that_resumes(ground):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.2))
    async with ground.orchestrator() as orchestrator:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                orchestrator.run(asks(5), GIVEN, agent="a", task_id="t"), timeout=0.5
            )
        assert ground.rows("SELECT status FROM task_records") == [("halted",)]
        nothing_is_held(ground)
        assert {one.certainty for one in ground.spendings()} == {"known"}, "the wire was not cut"
        ground.upstream.clear_faults()
        result = await orchestrator.resume("t")
    assert result.status == "completed"
    assert ground.requests() == {f"<{number}>": 1 for number in range(5)}


async def test_a_run_that_is_cancelled_again_and_again_leaves_nothing_open(ground):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.3))
    async with ground.orchestrator() as orchestrator:
        running = asyncio.create_task(orchestrator.run(asks(5), GIVEN, agent="a", task_id="t"))
        while not ground.upstream.log:
            await asyncio.sleep(0.01)
        for _ in range(5):
            running.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await running
    nothing_is_held(ground)
    ground.upstream.clear_faults()
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.resume("t", graph=asks(5))
    assert result.status == "completed"
    assert len(ground.upstream.log) == 5


def test_threads_of_ones_own_share_an_orchestrator(ground_in_thread):
    ground = ground_in_thread
    with ground.orchestrator() as orchestrator:
        results = []

        def work() -> None:
            results.append(orchestrator.run_sync(asks(2), GIVEN, agent="a"))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert [one.status for one in results] == ["completed"] * 8
    assert len(ground.upstream.log) == 16


async def test_run_sync_on_the_event_loop_is_refused_at_once(ground):
    async with ground.orchestrator() as orchestrator:
        with pytest.raises(RuntimeError, match="await"):
            orchestrator.run_sync(asks(1), GIVEN, agent="a")

        async def node(state: State) -> State:
            return {"done": [step("s").ask_sync("<1>").text]}

        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
    assert result.status == "failed"
    assert "await step(...).ask(...)" in result.error
    assert ground.upstream.log == []


# Checks, schemas, questions


async def test_an_exception_in_a_check_fails_the_task_and_loses_no_money(ground):
    broken = [True]

    def check(reply) -> bool:
        if broken:
            message = "the check itself is broken"
            raise KeyError(message)
        return True

    async def node(state: State) -> State:
        return {"done": [(await step("s").ask("<1>", check=check)).model]}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t")
        assert result.status == "failed"
        assert "the check itself is broken" in result.error
        assert result.cost.known == ground.upstream.billed
        broken.clear()
        result = await orchestrator.resume("t")
    assert result.status == "completed"
    assert len(ground.upstream.log) == 1, "the reply that was paid is judged again"


class Answer(BaseModel):
    value: int


async def test_a_reply_that_does_not_follow_its_schema_escalates_and_then_is_the_best_there_is(
    ground,
):
    async def node(state: State) -> State:
        reply = await step("s").ask("<1>", schema=Answer)
        return {"done": [reply.model, reply.parsed, reply.confidence]}

    async with ground.orchestrator(models=("small", "large")) as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
        assert result.status == "completed", result.error
        assert [one.model for one in result.attempts] == ["small", "large"]
        assert result.output["done"][1] is None
        strict = await orchestrator.run(one_node(node), GIVEN, agent="strict", task_id="t")
    assert strict.status == "completed"


async def test_a_threshold_that_nothing_meets_can_halt(ground):
    policy = "steps: {s: {below_threshold: halt}}"

    async def node(state: State) -> State:
        reply = await step("s").ask("<1>", check=lambda reply: reply.model == "gold")
        return {"done": [reply.model]}

    async with ground.orchestrator(policy, models=("small", "large")) as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "confidence")
        again = await orchestrator.resume("t")
    assert (again.status, again.halt.reason) == ("halted", "confidence")
    assert len(ground.upstream.log) == 2, "what was paid is judged again, not asked again"


async def test_a_question_of_the_graphs_own_beside_a_budget_halt(ground):
    async def human(state: State) -> State:
        return {"done": [interrupt("may I?")]}

    async def spender(state: State) -> State:
        return {"done": [(await step("s").ask(f"<{number}>")).model for number in range(10)]}

    graph = StateGraph(State).add_node("human", human).add_node("spender", spender)
    graph.add_edge(START, "human").add_edge(START, "spender")
    policy = "budgets: {task: {limit: 0.0002 USD}}"
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "budget")
        result = await orchestrator.resume("t", add_budget="1")
        assert (result.status, result.halt.reason) == ("halted", "question")
        assert "may I?" in result.halt.detail
        with pytest.raises(ValueError, match="add_budget"):
            await orchestrator.resume("t", add_budget="nothing")
        result = await orchestrator.resume("t", answer="yes")
        assert result.status == "completed"
    assert sorted(result.output["done"]) == ["small"] * 10 + ["yes"]
    assert ground.requests() == {f"<{number}>": 1 for number in range(10)}


async def test_an_answer_to_nothing_is_refused_and_changes_nothing(ground):
    async with ground.orchestrator("limits: {model_calls: 1}") as orchestrator:
        await orchestrator.run(asks(2), GIVEN, agent="a", task_id="t")
        with pytest.raises(ResumeError, match="asks nothing"):
            await orchestrator.resume("t", answer="yes")
        assert ground.rows("SELECT status, epoch FROM task_records") == [("halted", 1)]


async def test_a_halt_before_a_node_by_the_graphs_own_breakpoint_resumes(ground):
    graph = asks(2).compile(interrupt_before=["node"])
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (result.status, result.halt.reason) == ("halted", "question")
        assert ground.upstream.log == []
        result = await orchestrator.resume("t")
    assert result.status == "completed"
    assert result.output["done"] == ["small", "small"]


# Inputs and outputs


@pytest.mark.parametrize("given", [{}, GIVEN, {"anything": {"deep": [1, None, "x" * 10]}}])
async def test_an_empty_or_odd_input_is_what_the_node_gets(ground, given):
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(asks(1), given, agent="a")
    assert result.status == "completed"


async def test_an_input_that_cannot_be_stored_is_refused_before_anything_is_recorded(ground):
    async with ground.orchestrator() as orchestrator:
        with pytest.raises(ValueError, match="input: "):
            await orchestrator.run(asks(1), {"anything": threading.Lock()}, agent="a")
        assert ground.rows("SELECT * FROM task_records") == []


async def test_an_output_that_cannot_be_stored_is_a_failed_task_that_keeps_its_cost(ground):
    async def node(state: State) -> State:
        await step("s").ask("<1>")
        return {"anything": threading.Lock()}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t")
    assert result.status == "failed"
    assert result.cost.known == ground.upstream.billed
    assert ground.rows("SELECT status FROM task_records") == [("failed",)]


async def test_a_large_state_is_carried_over_a_halt(ground):
    async def grow(state: State) -> State:
        return {"anything": "x" * 5_000_000}

    async def last(state: State) -> State:
        replies = [await step("s").ask(f"<{number}>") for number in range(3)]
        return {"done": [len(state["anything"]), *(one.model for one in replies)]}

    graph = StateGraph(State).add_sequence([grow, last]).add_edge(START, "grow")
    async with ground.orchestrator("limits: {model_calls: 2}") as orchestrator:
        halted = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert len(halted.partial["anything"]) == 5_000_000
    async with ground.orchestrator("limits: {model_calls: 2}") as orchestrator:
        result = await orchestrator.resume("t", graph=graph, extend={"model_calls": 5})
    assert result.output["done"] == [5_000_000, "small", "small", "small"]
    assert len(ground.upstream.log) == 3


async def test_a_large_reply_and_a_large_prompt_are_replayed(ground):
    async def node(state: State) -> State:
        one = await step("s").ask("<1>" + "x" * 1_000_000)
        two = await step("s").ask("<2>")
        return {"done": [one.text, two.text]}

    async with ground.orchestrator("limits: {model_calls: 1}") as orchestrator:
        await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t")
        result = await orchestrator.resume("t", extend={"model_calls": 5})
    assert result.status == "completed"
    assert len(ground.upstream.log) == 2
