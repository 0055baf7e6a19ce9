"""Waiting for money never deadlocks, ends at the deadline, and is fair to whoever may stop it."""

import asyncio
import operator
import time
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import Money, step
from orchestrator.testing.upstream.faults import Fault

COST = Money(20_000)
BOUND = Money(180_000)
"""Above the worst case of one question here, below that of two."""


class State(TypedDict, total=False):
    name: str
    done: Annotated[list[str], operator.add]


def one_node(body) -> StateGraph:
    return StateGraph(State).add_node("node", body).add_edge(START, "node")


def budgets(**limits: Money) -> str:
    rules = ", ".join(f"{scope}: {{limit: {limit.usd} USD}}" for scope, limit in limits.items())
    return f"budgets: {{{rules}}}"


async def in_time(*awaited, seconds: float = 30):
    return await asyncio.wait_for(asyncio.gather(*awaited), seconds)


async def test_open_streams_that_ask_inside_their_loop_do_not_wait_for_each_other(ground):
    """Each stream holds its bound until it settles; what is asked inside fits only then."""
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.02))

    async def node(state: State) -> State:
        done = []
        async for piece in step("outer").stream(f"question of {state['name']}"):
            if piece.text and not done:
                done.append((await step("inner").ask(f"<1> of {state['name']}")).model)
        return {"done": done}

    # Two streams fill it; an inner ask fits when one of the streams has settled.
    policy = budgets(team=BOUND * 2 + COST * 4)
    async with ground.orchestrator(policy) as orchestrator:
        results = await in_time(
            *(orchestrator.run(one_node(node), {"name": name}, agent="a") for name in "xy")
        )
    assert [one.status for one in results] == ["completed", "completed"]
    assert len(ground.upstream.log) == 4
    assert ground.ledger_total() == ground.upstream.billed


async def test_one_stream_that_fills_its_own_budget_and_asks_inside_its_loop(ground):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.02))

    async def node(state: State) -> State:
        async for piece in step("outer").stream("question"):
            if piece.text:
                return {"done": [(await step("inner").ask("<1>")).model]}
        return {"done": []}

    async with ground.orchestrator(budgets(task=BOUND + COST)) as orchestrator:
        (result,) = await in_time(orchestrator.run(one_node(node), {}, agent="a"))
    assert result.status == "completed"
    assert [one.step for one in result.attempts] == ["outer", "inner"]


async def test_two_budgets_that_are_short_in_turn_for_two_tasks_do_not_lock(ground):
    """Each task waits at its own budget, then at the team's, while the other does it vice versa."""
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.005))

    async def node(state: State) -> State:
        replies = await asyncio.gather(
            *(step("s").ask(f"<{number}> of {state['name']}") for number in range(20))
        )
        return {"done": [one.model for one in replies]}

    policy = budgets(task=BOUND + COST * 20, team=BOUND + COST * 40)
    async with ground.orchestrator(policy) as orchestrator:
        ground.watch("team", BOUND)
        results = await in_time(
            *(orchestrator.run(one_node(node), {"name": name}, agent="a") for name in "xy")
        )
    assert [one.status for one in results] == ["completed", "completed"]
    assert len(ground.upstream.log) == 40
    ((most,),) = ground.rows("SELECT max(committed) FROM seen")
    assert most <= (BOUND + COST * 40).nano


async def test_forty_sync_nodes_wait_for_money_in_langgraphs_pool(ground):
    def node(state: State) -> State:
        return {"done": [step("s").ask_sync("question").model]}

    graph = StateGraph(State)
    for number in range(40):
        graph.add_node(f"n{number}", node).add_edge(START, f"n{number}")
    async with ground.orchestrator(budgets(task=BOUND + COST * 40)) as orchestrator:
        (result,) = await in_time(orchestrator.run(graph, {}, agent="a"))
    assert result.status == "completed"
    assert len(result.output["done"]) == len(ground.upstream.log) == 40


@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_task_group_whose_sibling_is_refused_ends_and_keeps_what_is_in_flight(
    ground, swallowed
):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))

    async def node(state: State) -> State:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(step("s").ask(f"<{number}>")) for number in range(20)]
        except BaseException:
            if swallowed:
                return {"done": ["fallback"]}
            raise
        return {"done": [one.result().model for one in tasks]}

    async with ground.orchestrator(budgets(task=BOUND * 3)) as orchestrator:
        (halted,) = await in_time(orchestrator.run(one_node(node), {}, agent="a", task_id="t"))
        assert (halted.status, halted.halt.reason) == ("halted", "budget")
        assert halted.partial["done"] == []
        in_flight = len(ground.upstream.log)
        assert [one.certainty for one in halted.attempts] == ["known"] * in_flight
        (resumed,) = await in_time(orchestrator.resume("t", add_budget="1"))
    assert resumed.output["done"] == ["small"] * 20
    assert ground.requests() == {f"<{number}>": 1 for number in range(20)}


async def test_a_waiters_deadline_holds_while_it_waits_for_money(ground):
    ground.upstream.add_faults(Fault(kind="hang"))

    async def node(state: State) -> State:
        return {"done": [(await step("s").ask("question")).model]}

    async with ground.orchestrator(budgets(team=BOUND)) as orchestrator:
        holder = asyncio.create_task(
            orchestrator.run(one_node(node), {}, agent="a", task_id="holder")
        )
        while not ground.upstream.log:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        waiter = await orchestrator.run(one_node(node), {}, agent="a", timeout=0.5)
        waited = time.monotonic() - began
        assert (waiter.status, waiter.halt.reason) == ("halted", "timeout")
        assert 0.4 < waited < 15, "it waited, and no longer than it may"
        assert waiter.attempts == ()
        assert not holder.done()
        await orchestrator.cancel("holder")
        await holder
    assert len(ground.upstream.log) == 1


def slowly(count: int) -> StateGraph:
    async def node(state: State) -> State:
        return {"done": [(await step("s").ask(f"<{number}>")).model for number in range(count)]}

    return one_node(node)


@pytest.mark.parametrize("signal", ["pause", "cancel"])
async def test_a_signal_from_another_task_ends_as_a_halt_and_resumes(ground, signal):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.2))
    async with ground.orchestrator() as orchestrator:
        running = asyncio.create_task(orchestrator.run(slowly(5), {}, agent="a", task_id="t"))
        while len(ground.upstream.log) < 2:
            await asyncio.sleep(0.01)
        await getattr(orchestrator, signal)("t")
        halted = await running
        assert halted.status == "halted"
        assert halted.halt.reason == {"pause": "paused", "cancel": "cancelled"}[signal]
        last = {"pause": "known", "cancel": "estimated"}[signal]
        assert [one.certainty for one in halted.attempts] == ["known", last]
        ground.upstream.clear_faults()
        resumed = await orchestrator.resume("t")
    assert resumed.status == "completed"
    again = {"pause": 1, "cancel": 2}[signal]
    assert ground.requests() == {"<0>": 1, "<1>": again, "<2>": 1, "<3>": 1, "<4>": 1}


@pytest.mark.parametrize("signal", ["pause", "cancel"])
async def test_a_signal_reaches_who_waits_for_money(ground, signal):
    ground.upstream.add_faults(Fault(kind="hang"))
    async with ground.orchestrator(budgets(team=BOUND)) as orchestrator:
        holder = asyncio.create_task(orchestrator.run(slowly(1), {}, agent="a", task_id="holder"))
        while not ground.upstream.log:
            await asyncio.sleep(0.01)
        waiter = asyncio.create_task(orchestrator.run(slowly(1), {}, agent="a", task_id="waiter"))
        await asyncio.sleep(0.2)
        await getattr(orchestrator, signal)("waiter")
        (halted,) = await in_time(waiter, seconds=5)
        assert halted.halt.reason == {"pause": "paused", "cancel": "cancelled"}[signal]
        assert halted.attempts == ()
        await orchestrator.cancel("holder")
        (held,) = await in_time(holder, seconds=5)
    assert held.halt.reason == "cancelled"
    assert [one.certainty for one in held.attempts] == ["estimated"]


@pytest.mark.parametrize("signal", ["pause", "cancel"])
async def test_a_signal_to_a_task_in_another_process_takes_effect_at_its_next_attempt(
    ground, lives, plans, signal
):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))
    await lives.begin(ground.order([{"task_id": "t0"}], graph="plans:twelve_steps"))
    while len(ground.upstream.log) < 3:
        await asyncio.sleep(0.01)
    async with ground.orchestrator() as orchestrator:
        await getattr(orchestrator, signal)("t0")
        seen = len(ground.upstream.log)
        (halted,) = await lives.rest()
        assert (halted["status"], halted["halt"]) == (
            "halted",
            {"pause": "paused", "cancel": "cancelled"}[signal],
        )
        assert {certainty for _, certainty in halted["attempts"]} == {"known"}
        assert len(ground.upstream.log) <= seen + 1
        ground.upstream.clear_faults()
        resumed = await orchestrator.resume("t0")
    assert resumed.status == "completed"
    assert set(ground.requests().values()) == {1}
    assert len(ground.upstream.log) == 12


async def test_who_waits_in_one_process_is_served_when_another_settles(ground, lives):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.3, times=1))
    policy = budgets(team=BOUND + COST * 30)
    order = ground.order([{"task_id": "t0"}], policy, graph="plans:twelve_steps")
    await lives.begin(order)
    async with ground.orchestrator(policy) as orchestrator:
        (here,) = await in_time(orchestrator.run(slowly(12), {}, agent="a"))
    (there,) = await lives.rest()
    assert (here.status, there["status"]) == ("completed", "completed")
    assert ground.ledger_total() == ground.upstream.billed == COST * 24
