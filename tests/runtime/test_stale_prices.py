"""Prices that nobody looked at for long: refused, estimated, or told."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import genai_prices
import pytest
from langgraph.graph import START, StateGraph

from orchestrator import PolicyError, step
from orchestrator.policy.load import load_policy
from orchestrator.pricing.book import PriceBook
from orchestrator.pricing.staleness import StalePrice
from orchestrator.testing import FakeClock

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MODELS = """
models:
  old: {model: openai/old, max_output_tokens: 10, price: {input: 1, output: 1, checked: 2026-08-25}}
  new: {model: openai/new, max_output_tokens: 10, price: {input: 2, output: 2, checked: 2026-11-01}}
"""
BUDGET = "budgets: {task: {limit: 0.01 USD}}\n"


class State(TypedDict, total=False):
    out: str


async def ask(state: State) -> State:
    return {"out": (await step("s").ask("q")).model}


GRAPH = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")


async def run(stage, rule, clock):
    text = f"{BUDGET}stale_price: {rule}"
    async with stage.orchestrator(text, models=MODELS, clock=clock) as orchestrator:
        clock.advance(days=1)  # while it runs, the older price becomes stale
        return await orchestrator.run(GRAPH, {}, agent="a")


@pytest.mark.parametrize(
    ("rule", "model", "certainty"),
    [
        ("{after: 90d, then: refuse}", "new", "known"),
        ("{after: 90d, then: estimate}", "old", "estimated"),
        ("90d", "old", "known"),
        ("off", "old", "known"),
        ("{after: 91d, then: refuse}", "old", "known"),
    ],
)
async def test_a_price_that_becomes_stale_is_refused_estimated_or_told(
    stage, rule, model, certainty
):
    result = await run(stage, rule, FakeClock(datetime(2026, 11, 23, tzinfo=UTC)))
    assert result.status == "completed", result
    assert [(one.model, one.certainty) for one in result.attempts] == [(model, certainty)]


def test_a_policy_that_refuses_stale_prices_says_which_and_what_to_do(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"{MODELS}  listed: {{model: openai/gpt-5-nano}}\n{BUDGET}"
        "stale_price: {after: 30d, then: refuse, checked: 2026-10-01}\n"
    )
    with pytest.raises(PolicyError) as caught:
        load_policy(policy, at=AT)
    old, listed = caught.value.problems
    assert old.key == "models.old.model"
    assert "90 days ago" in old.message
    assert "`checked: 2026-11-23` in `price:`" in old.message
    assert listed.key == "models.listed.model"
    assert "53 days ago" in listed.message
    assert "pip install --upgrade genai-prices" in listed.message


def test_a_list_is_as_old_as_its_file_unless_somebody_compared_it():
    quote = PriceBook().quote("openai/gpt-5-nano", override=None, at=AT)
    written = datetime.fromtimestamp(Path(genai_prices.__file__).stat().st_mtime, UTC)
    rule = StalePrice(after_s=86_400)
    assert rule.age_days(quote, written + timedelta(days=3)) == 3
    assert not rule.is_stale(quote, written + timedelta(days=1))
    assert rule.is_stale(quote, written + timedelta(days=2))
    compared = StalePrice(after_s=86_400, checked=date(2026, 11, 22))
    assert compared.age_days(quote, AT) == 1


def test_a_lower_layer_may_only_be_stricter(tmp_path):
    above = f"{MODELS}{BUDGET}stale_price: {{after: 200d, then: estimate}}\nagents:\n"
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{above}  a: {{stale_price: {{after: 150d, then: refuse}}}}\n")
    assert load_policy(policy, at=AT).agent("a").stale_price.then == "refuse"
    policy.write_text(f"{above}  a: {{stale_price: {{after: 201d, then: warn}}}}\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(policy, at=AT)
    assert [problem.key for problem in caught.value.problems] == [
        "agents.a.stale_price.after",
        "agents.a.stale_price.then",
    ]
