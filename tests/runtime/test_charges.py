"""What is used beside models and tools, in the same ledger and on the same budgets."""

import asyncio
import threading
import time
from concurrent.futures import Future
from decimal import Decimal
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from orchestrator import Money, current_task, step, tool_cost
from orchestrator.pricing.resources import ResourcePrice, read_quantity

PRICES = """
resources:
  cpu_second: 0.00001 USD
  "egress:eu->us": {price: 0.02 USD}
  gib_second: 0.0000000046 USD
  gpu_second: {flat: 3000 USD, over: 2M}
"""


class State(TypedDict, total=False):
    out: str


@pytest.fixture
def stage(stage_on_each_store):
    return stage_on_each_store


def graph_of(node):
    return StateGraph(State).add_node("n", node).add_edge(START, "n")


async def run(stage, node, text=""):
    async with stage.orchestrator(PRICES + text) as orchestrator:
        return await orchestrator.run(graph_of(node), {"out": ""}, agent="a", task_id="t")


@pytest.mark.parametrize("is_sync", [True, False])
async def test_a_charge_stands_in_the_ledger_under_its_resource(stage, is_sync):
    def charges(state: State) -> State:
        assert current_task().charge("egress:eu->us", "1.5") == Money.from_usd("0.03")
        assert current_task().charge("gib_second", 10) == Money(46)
        return {}

    async def asynchronous(state: State) -> State:
        return charges(state)

    result = await run(stage, charges if is_sync else asynchronous)
    assert result.status == "completed", result
    assert [(one.step, one.cost, one.certainty) for one in result.attempts] == [
        ("resource:egress:eu->us", Money.from_usd("0.03"), "known"),
        ("resource:gib_second", Money(46), "known"),
    ]
    assert [(row.kind, row.model, row.price_source) for row in stage.rows()] == [
        ("resource", "egress:eu->us", "policy: 1.5 units"),
        ("resource", "gib_second", "policy: 10 units"),
    ]


async def test_a_flat_cost_is_spread_over_use_and_is_an_estimate(stage):
    async def node(state: State) -> State:
        current_task().charge("gpu_second", 7)
        return {}

    result = await run(stage, node)
    assert [(one.cost, one.certainty) for one in result.attempts] == [
        (Money.from_usd("0.0105"), "estimated")
    ]


async def test_a_node_that_runs_again_charges_once(stage):
    async def node(state: State) -> State:
        for _ in range(2):
            current_task().charge("egress:eu->us", 1)
        return {"out": interrupt("well?")}

    halted = await run(stage, node)
    assert halted.halt.reason == "question"
    async with stage.orchestrator(PRICES) as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), answer="go on")
    assert done.status == "completed"
    assert done.cost.total == Money.from_usd("0.04")


async def test_what_no_budget_can_serve_is_booked_above_it_and_halts(stage):
    async def node(state: State) -> State:
        current_task().charge("egress:eu->us", 1)
        current_task().charge("egress:eu->us", 2)
        return {"out": (await step("s").ask("hi")).text}

    budget = "budgets: {task: {limit: 0.05 USD}}"
    halted = await run(stage, node, budget)
    assert (halted.halt.reason, halted.halt.step) == ("budget", "resource:egress:eu->us")
    assert halted.cost.total == Money.from_usd("0.06")
    assert stage.asked == []
    assert [row.overrun for row in stage.rows()] == [Money.ZERO, Money.from_usd("0.04")]
    async with stage.orchestrator(PRICES + budget) as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node))
    assert done.output == {"out": "ok"}
    assert done.cost.total == Money.from_usd("0.06") + Money(20_000)


async def test_the_charge_of_a_tool_is_its_tasks(stage):
    @tool_cost("0.01")
    async def upload(size: int) -> str:
        current_task().charge("egress:eu->us", size)
        return "done"

    async def node(state: State) -> State:
        return {"out": await upload(1)}

    result = await run(stage, node, "budgets: {task: {limit: 0.03 USD}}\nlimits: {timeout: 10s}")
    assert result.status == "completed", result.halt
    assert result.cost.total == Money.from_usd("0.03")


async def test_a_charge_never_blocks_the_loop_that_others_need(stage):
    async def node(state: State) -> State:
        @tool_cost("0.02")
        async def slow() -> None:
            await asyncio.sleep(0.01)
            current_task().charge("egress:eu->us", 1)

        await asyncio.gather(slow(), slow())
        return {}

    result = await run(stage, node, "budgets: {task: {limit: 0.04 USD}}\nlimits: {timeout: 20s}")
    assert result.halt.reason == "budget"


async def test_a_charge_waits_behind_nobody_who_waits_for_money(stage):
    async def node(state: State) -> State:
        @tool_cost("0.02")
        async def slow() -> None:
            await asyncio.sleep(0.01)
            current_task().charge("egress:eu->us", 1)

        await asyncio.gather(*(slow() for _ in range(4)))
        return {}

    # On a thread: without it, the loop that it would stop is that of this test.
    policy = "budgets: {task: {limit: 0.04 USD}}\nlimits: {timeout: 20s}"
    done = Future()
    work = threading.Thread(
        target=lambda: done.set_result(asyncio.run(run(stage, node, policy))), daemon=True
    )
    work.start()
    result = await asyncio.wait_for(asyncio.wrap_future(done), 60)
    assert result.halt.reason == "budget"


async def test_a_store_that_is_slow_is_not_taken_for_a_budget_that_is_short(stage, monkeypatch):
    monkeypatch.setattr("orchestrator.runtime.spending.charges.WAIT_ON_LOOP_S", 0.0)

    async def node(state: State) -> State:
        current_task().charge("egress:eu->us", 1)
        return {}

    result = await run(stage, node, "budgets: {task: {limit: 0.02 USD}}")
    assert result.status == "completed", result.halt
    assert result.cost.total == Money.from_usd("0.02")
    assert {row.overrun for row in stage.rows()} == {Money.ZERO}


async def test_a_store_that_is_slow_hides_no_budget_that_is_used_up(stage, monkeypatch):
    monkeypatch.setattr("orchestrator.runtime.spending.charges.WAIT_ON_LOOP_S", 0.0)

    async def node(state: State) -> State:
        for units in range(1, 6):
            current_task().charge("egress:eu->us", units)
        return {}

    result = await run(stage, node, "budgets: {task: {limit: 0.02 USD, at: {100%: ask}}}")
    assert (result.status, result.halt.reason) == ("halted", "question"), result
    booked = [(row.cost, row.overrun) for row in stage.rows() if row.cost or row.overrun]
    assert [cost for cost, _ in booked] == [Money.from_usd("0.02"), Money.from_usd("0.04")]
    assert [overrun for _, overrun in booked] == [Money.ZERO, Money.from_usd("0.04")]


async def test_a_budget_that_others_hold_hides_none_that_is_used_up(stage, monkeypatch):
    """Told what is short without waiting, a charge is told of what no waiting helps."""
    monkeypatch.setattr("orchestrator.runtime.spending.charges.WAIT_ON_LOOP_S", 0.0)
    held, is_over = asyncio.Event(), asyncio.Event()

    @tool_cost("0.09")
    async def slow() -> None:
        held.set()
        await is_over.wait()

    async def holding(state: State) -> State:
        await slow()
        return {}

    async def charging(state: State) -> State:
        await held.wait()
        try:
            current_task().charge("egress:eu->us", 2)
        finally:
            is_over.set()
        return {}

    budgets = "budgets: {agent: {limit: 0.1 USD}, task: {limit: 0.1 USD}}"
    async with stage.orchestrator(PRICES + budgets) as orchestrator:
        other, charged = await asyncio.gather(
            orchestrator.run(graph_of(holding), {"out": ""}, agent="a"),
            orchestrator.run(graph_of(charging), {"out": ""}, agent="a", budget="0.02"),
        )
    assert other.status == "completed"
    assert (charged.status, charged.halt.reason, charged.halt.scope) == ("halted", "budget", "task")
    assert charged.cost.total == Money.from_usd("0.04")


async def test_what_was_used_is_booked_although_the_task_was_paused_elsewhere(stage):
    async def node(state: State) -> State:
        await orchestrator._services.ledger.signal("t", "paused")  # as another process does
        current_task().charge("egress:eu->us", 1)
        return {"out": (await step("s").ask("hi")).text}

    async with stage.orchestrator(PRICES) as orchestrator:
        halted = await orchestrator.run(graph_of(node), {"out": ""}, agent="a", task_id="t")
    assert (halted.status, halted.halt.reason) == ("halted", "paused")
    assert halted.cost.total == Money.from_usd("0.02")
    assert stage.asked == []


def works_and_fails():
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    return 1 / 0


async def test_what_a_block_uses_is_measured_each_time_and_also_if_it_fails(stage):
    def node(state: State) -> State:
        with (
            pytest.raises(ZeroDivisionError),
            current_task().measured(cpu="cpu_second", elapsed={"gpu_second": 2}),
        ):
            works_and_fails()
        return {}

    result = await run(stage, node)
    assert result.status == "completed", result
    costs = {one.step: one.cost.nano for one in result.attempts}
    assert costs["resource:cpu_second"] >= 200
    assert costs["resource:gpu_second"] >= 60_000


async def test_a_resource_without_a_price_is_refused_before_anything_is_used(stage):
    used = []

    async def node(state: State) -> State:
        with pytest.raises(ValueError, match="human_minute"):
            current_task().charge("human_minute", 3)
        with (
            pytest.raises(ValueError, match="it has: cpu_second"),
            current_task().measured(elapsed={"tpu_second": 1}),
        ):
            used.append(1)
        for quantity in (-1, "nan", "x", True):
            with pytest.raises(ValueError, match="a quantity is a number"):
                current_task().charge("cpu_second", quantity)
        return {}

    result = await run(stage, node)
    assert result.status == "completed", result
    assert (used, result.attempts) == ([], ())


@given(
    unit=st.decimals(0, 1000, places=12),
    over=st.none() | st.integers(1, 10**6),
    quantity=st.decimals(0, 10**6, places=6),
)
def test_a_cost_is_rounded_upward_once(unit, over, quantity):
    cost = ResourcePrice(unit, over).cost(quantity)
    exact = unit * quantity * 10**9
    assert (cost.nano - 1) * (over or 1) < exact <= cost.nano * (over or 1)


def test_a_float_is_read_as_it_is_written():
    assert read_quantity(0.1) == Decimal("0.1")
