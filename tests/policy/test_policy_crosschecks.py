"""Money: what no budget could hold, and what no budget could pay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.core.errors import PolicyError
from orchestrator.policy.load import load_policy

UNPRICED = "models: {m: {model: openai/no-such-model-anywhere}}\n"


def model(name: str, output: str, tokens: str = "1k") -> str:
    price = f"price: {{input: 1, output: {output}}}"
    return f"  {name}: {{model: openai/{name}, max_output_tokens: {tokens}, {price}}}\n"


TWO = "models:\n" + model("cheap", "10") + model("dear", "100")  # $0.01 and $0.10 a call


def test_a_model_without_a_known_price_is_refused_under_a_budget(mistake):
    problem = mistake(UNPRICED + "budgets: {task: {limit: 1 USD}}\n")
    assert (problem.line, problem.key) == (1, "models.m.model")
    assert "`openai/no-such-model-anywhere`" in problem.message
    assert "price: {input: 0.10, output: 0.40}" in problem.message


@pytest.mark.parametrize("word", ["estimate", "free"])
def test_a_policy_may_say_what_an_unknown_price_means(load, word):
    text = UNPRICED + f"budgets: {{task: {{limit: 1 USD}}}}\nunknown_price: {word}\n"
    assert load(text).everyone.unknown_price == word


def test_without_a_budget_no_price_is_needed(load):
    assert load(UNPRICED).everyone.budgets == ()


def test_a_price_is_asked_for_the_address_and_the_moment(write):
    asked = []

    def quote(model, *, override, at, api_base=None):
        asked.append((model, override, at, api_base))

    at = datetime(2026, 1, 2, tzinfo=UTC)
    text = "models: {m: {model: openai/foo, api_base: 'http://127.0.0.1:1/v1'}}\n"
    load_policy(write(text), quote=quote, at=at)
    assert asked == [("openai/foo", None, at, "http://127.0.0.1:1/v1")]


@pytest.mark.parametrize("scope", ["org", "team", "agent", "user", "task"])
def test_a_budget_below_one_call_of_the_cheapest_model_is_refused(mistake, load, scope):
    budgets = f"budgets: {{{scope}: {{limit: %s USD}}}}\n"
    problem = mistake(TWO + budgets % "0.009999999")
    assert (problem.line, problem.key) == (4, f"budgets.{scope}.limit")
    assert "`cheap` can cost $0.01 with 1000 output tokens" in problem.message
    assert load(TWO + budgets % "0.01")


def test_a_step_that_could_never_be_paid_is_refused(mistake, load):
    steps = "steps: {plan: {models: [dear]}}\n"
    problem = mistake(TWO + "budgets: {task: {limit: 0.09 USD}}\n" + steps)
    assert "cheapest model of step `plan`: `dear` can cost $0.10" in problem.message
    assert load(TWO + "budgets: {task: {limit: 0.10 USD}}\n" + steps)


def test_what_is_kept_for_finishing_pays_no_other_call(mistake, load):
    budget = "budgets: {task: {limit: 0.05 USD, finish_reserve: %s USD}}\n"
    assert "less its finish_reserve ($0.041)" in mistake(TWO + budget % "0.041").message
    assert load(TWO + budget % "0.04")


def test_a_model_that_may_run_unpriced_proves_no_budget_too_small(load):
    text = TWO + "  odd: {model: openai/no-such-model-anywhere}\n"
    text += "budgets: {task: {limit: 0.001 USD}}\nunknown_price: estimate\n"
    assert load(text)


def test_an_unpriced_model_and_a_small_budget_are_two_mistakes(mistakes):
    text = TWO + "  odd: {model: openai/no-such-model-anywhere}\n"
    found = mistakes(text + "budgets: {task: {limit: 0.001 USD}}\n")
    assert [problem.key for problem in found] == ["models.odd.model", "budgets.task.limit"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read \(no such file"):
        load_policy(tmp_path / "nowhere.yaml")


def test_a_directory_is_no_policy(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)
