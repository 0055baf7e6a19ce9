"""Amounts in other currencies in a policy, and their rates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from orchestrator import Money, PolicyError
from orchestrator.policy.load import load_policy
from orchestrator.pricing.currency import Rates

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SMALL = (
    "models: {small: {model: openai/foo, max_output_tokens: 10, price: {input: 1, output: 1}}}\n"
)
RATED = f"{SMALL}currencies:\n  EUR: {{2026-01-01: 1.08, 2026-07-01: 1.12}}\n"
EUR = Rates.of("EUR", {date(2026, 1, 1): Decimal("1.08"), date(2026, 7, 1): Decimal("1.12")})


@pytest.fixture
def read(write):
    return lambda text: load_policy(write(text), at=AT)


@pytest.fixture
def wrong(read):
    """Every mistake in a policy: its key and what is said."""

    def find(text):
        with pytest.raises(PolicyError) as caught:
            read(text)
        return {problem.key: problem.message for problem in caught.value.problems}

    return find


def test_every_kind_of_amount_may_be_in_another_currency(read):
    policy = read(
        f"{RATED}budgets:\n  task: {{limit: 0.25 EUR, finish_reserve: 0.02 EUR}}\n"
        "  team: {limit: 50 EUR, per: month}\n"
        "tools: {search: 0.005 EUR}\n"
        "resources: {cpu: 0.00001 EUR, gpu: {flat: 3000 EUR, over: 2M}}\n"
        "memo: {upkeep: {limit: 1 EUR, per: day}}\n"
        "audits: {rate: 0.1, budget: {limit: 2 EUR, per: day}}\n"
    )
    here, day = policy.everyone, date(2026, 8, 1)
    assert policy.rates == {"EUR": EUR}
    team, task = (rule.on(day) for rule in here.budgets)
    assert (task.limit, task.finish_reserve) == (Money.from_usd("0.28"), Money.from_usd("0.0224"))
    assert team.limit == Money.from_usd(56)
    assert here.tools["search"].cost(day) == Money.from_usd("0.0056")
    assert here.resources["cpu"].on(day).unit == Decimal("0.0000112")
    assert here.resources["gpu"].on(day).cost(Decimal(1)) == Money.from_usd("0.00168")
    assert here.upkeep.on(day).limit == Money.from_usd("1.12")
    assert here.audits.budget.on(day).limit == Money.from_usd("2.24")


def test_a_policy_means_the_same_on_every_day(read, write):
    text = f"{RATED}budgets: {{team: {{limit: 50 EUR, per: month}}}}\n"
    other = load_policy(write(text), at=datetime(2026, 3, 1, tzinfo=UTC))
    assert read(text).everyone.digest == other.everyone.digest
    changed = read(text.replace("1.12", "1.13"))
    assert changed.everyone.digest != other.everyone.digest


def test_missing_and_stale_rates_and_what_else_is_wrong_are_said_at_once(wrong):
    found = wrong(
        "models: {small: {model: openai/foo, price: {input: 1, output: 1, currency: GBP}}}\n"
        "currencies:\n  EUR: {2024-01-01: 1.08}\n  CHF: {2027-01-01: 1.1}\n"
        "  SEK: {x: 1, 2026-01-01: 0}\n  USD: {2026-01-01: 1}\n  eur: {2026-01-01: 1}\n"
        "budgets:\n"
        "  task: {limit: 0.25 EUR, finish_reserve: 0.02 CHF}\n"
        "  team: {limit: 50 CHF}\n"
        "  org: {limit: 50 USD, rate_of: 2026-01-01}\n"
        "tools: {search: 0.005 NOK, fetch: 1 SEK}\n"
        "resources: {gpu: {flat: 999999999 EUR, over: 2M}}\n"
    )
    assert found.keys() == {
        "models.small.price.currency",
        "currencies.EUR",
        "currencies.CHF",
        "currencies.SEK",
        "currencies.USD",
        "currencies.eur",
        "budgets.task.finish_reserve",
        "budgets.team",
        "budgets.org.rate_of",
        "tools.search.price",
        "resources.gpu.flat",
    }
    assert "`currencies: {GBP: {2026-11-23: " in found["models.small.price.currency"]
    assert "1057 days old, and `stale_rate` allows 400d" in found["currencies.EUR"]
    assert "none holds today; add today's, `2026-11-23: 1.1`" in found["currencies.CHF"]
    assert "`x` is no day" in found["currencies.SEK"]
    assert "`0` is no rate" in found["currencies.SEK"]
    assert "write `EUR`" in found["currencies.eur"]
    assert "write it in EUR" in found["budgets.task.finish_reserve"]
    assert "`rate_of: 2026-01-01`" in found["budgets.team"]
    assert "is too much" in found["resources.gpu.flat"]


def test_how_old_a_rate_may_be_is_the_policys_word(read, wrong):
    text = f"{RATED}budgets: {{team: {{limit: 50 EUR, per: month}}}}\n"
    assert "145 days old" in wrong(f"{text}stale_rate: 144d\n")["currencies.EUR"]
    read(f"{text}stale_rate: 145d\n")
    read(f"{RATED}stale_rate: 1d\n")  # nothing is in that currency


def test_a_lower_layer_changes_no_rate_and_no_currency(wrong, write):
    write(
        f"{RATED}stale_rate: 300d\nbudgets: {{team: {{limit: 50 EUR, per: month}}}}\n", "org.yaml"
    )
    found = wrong(
        "extends: org.yaml\nstale_rate: 301d\n"
        "currencies: {EUR: {2026-10-01: 2}, GBP: {2026-01-01: 1.3}}\n"
        "budgets: {team: {limit: 1 USD, rate_of: 2026-02-01}}\n"
    )
    assert found.keys() == {
        "stale_rate",
        "currencies.EUR",
        "budgets.team.limit",
        "budgets.team.rate_of",
    }
    assert "write it in EUR" in found["budgets.team.limit"]


def test_a_budget_has_to_pay_one_call_by_todays_rate(wrong, read):
    # A call can cost 10 micro-dollars at least; 9 micro-euros are worth 10.08 today.
    read(f"{RATED}budgets: {{task: {{limit: 0.000009 EUR}}}}\n")
    found = wrong(f"{RATED}budgets: {{task: {{limit: 0.0000089 EUR}}}}\n")
    assert "0.0000089 EUR does not pay one call" in found["budgets.task.limit"]
