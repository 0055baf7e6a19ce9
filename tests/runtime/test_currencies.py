"""Tasks under a policy in another currency, before and after its rate changes."""

from datetime import UTC, datetime
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import Money, current_task, step, tool_cost
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.testing import FakeClock

RULES = """
currencies:
  EUR: {2026-01-01: 2, 2026-07-15: 4}
tools: {look: 0.00001 EUR}
resources: {page: 0.00001 EUR}
"""
MODELS = """
models:
  small: {model: openai/small, max_output_tokens: 10,
          price: {input: 1, output: 1, currency: EUR}}
"""


class State(TypedDict, total=False):
    out: str


@tool_cost()
async def look() -> str:
    return "seen"


async def node(state: State) -> State:
    await look()
    current_task().charge("page", 1)
    return {"out": (await step("s").ask("q")).text}


GRAPH = StateGraph(State).add_node("n", node).add_edge(START, "n")


@pytest.fixture
def clock():
    return FakeClock(datetime(2026, 7, 14, 23, tzinfo=UTC))


async def run(stage, clock, text="", **how):
    async with stage.orchestrator(RULES + text, clock=clock, models=MODELS) as orchestrator:
        return await orchestrator.run(GRAPH, {}, agent="a", **how)


async def test_what_is_used_costs_what_the_rate_of_its_day_says(stage, clock):
    costs = []
    for _ in range(2):
        result = await run(stage, clock)
        costs.append([one.cost.nano for one in result.attempts])
        clock.advance(hours=1)
    assert costs == [[20_000, 20_000, 40_000], [40_000, 40_000, 80_000]]
    with SqliteReader(stage.folder / "ledger.db") as reader:
        sources = [row.price_source for row in reader.attempts()]
    of = "(1 EUR = {} USD of {})"
    before, after = of.format(2, "2026-01-01"), of.format(4, "2026-07-15")
    assert sources == [
        f"policy {rate}{units}" for rate in (before, after) for units in ("", ": 1 units", "")
    ]


async def test_a_window_keeps_its_limit_and_what_was_spent_when_the_rate_changes(stage, clock):
    """0.0002 EUR a month: worth $0.0004 in July, whatever a call costs from the 15th on."""
    text = "budgets: {team: {limit: 0.0002 EUR, per: month}}"
    assert (await run(stage, clock, text)).status == "completed"  # $0.00008 of $0.0004
    clock.advance(hours=1)
    halted = await run(stage, clock, text)  # its call alone could cost $0.0006 by now
    assert (halted.halt.reason, halted.halt.scope) == ("budget", "team")
    assert halted.halt.limit == Money.from_usd("0.0004")
    clock.advance(days=31)
    assert (await run(stage, clock, text)).status == "completed"
    assert (await run(stage, clock, text)).halt.limit == Money.from_usd("0.0008")


async def test_a_task_keeps_the_budget_it_began_with(stage, clock):
    text = "budgets: {task: {limit: 0.0001 EUR}}\nunknown_price: free"
    halted = await run(stage, clock, text, task_id="t")
    assert halted.halt.limit == Money.from_usd("0.0002")
    clock.advance(days=1)
    async with stage.orchestrator(RULES + text, clock=clock, models=MODELS) as orchestrator:
        again = await orchestrator.resume("t", graph=GRAPH)
        assert again.halt.limit == Money.from_usd("0.0002")
        done = await orchestrator.resume("t", graph=GRAPH, add_budget="0.001")
    assert done.status == "completed"
    assert [one.cost.nano for one in done.attempts][:2] == [20_000, 20_000]


async def test_a_threshold_is_a_share_of_what_the_window_is_worth(stage, clock):
    text = "budgets: {team: {limit: 0.01 EUR, per: month, at: {1%: notify}}}"
    for _ in range(3):
        await run(stage, clock, text)
        clock.advance(hours=1)
    told = [event for event in stage.events if type(event).__name__ == "BudgetThresholdCrossed"]
    assert [event.limit for event in told] == [Money.from_usd("0.02")]
