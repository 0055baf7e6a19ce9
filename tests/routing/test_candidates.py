"""Candidates come cheapest first for the request at hand."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.models.settings import ModelSettings
from orchestrator.pricing.book import PriceBook
from orchestrator.pricing.price import Price
from orchestrator.routing.candidates import estimate_input_tokens, order_candidates

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def listed(settings):
    return PriceBook().quote(settings.model, override=settings.price, at=NOW)


def model(name, provider_model="unlisted/model", price=None, **settings):
    return ModelSettings(name=name, model=provider_model, price=price, **settings)


def price(of_input, of_output):
    return Price(input=Decimal(of_input), output=Decimal(of_output))


def names(candidates):
    return [candidate.settings.name for candidate in candidates]


def test_provider_prefixed_names_are_ordered_by_their_list_prices():
    models = [
        model("large", "anthropic/claude-opus-4-5"),
        model("medium", "anthropic/claude-haiku-4-5"),
        model("small", "openai/gpt-5-nano"),
    ]

    ordered = order_candidates(models, listed, input_tokens=500)

    assert names(ordered) == ["small", "medium", "large"]
    costs = [candidate.expected_cost for candidate in ordered]
    assert costs == sorted(costs)
    assert len(set(costs)) == 3


def test_what_the_request_needs_decides_not_the_price_list():
    reader = model("reader", price=price("0.1", "50"))
    writer = model("writer", price=price("5", "0.1"))

    def order(input_tokens, output_tokens):
        return names(
            order_candidates(
                [reader, writer], listed, input_tokens=input_tokens, output_tokens=output_tokens
            )
        )

    assert order(100_000, 10) == ["reader", "writer"]
    assert order(10, 1_000) == ["writer", "reader"]


def test_a_models_own_maximum_lowers_its_expected_output():
    short = model("short", price=price("0", "10"), max_output_tokens=10)
    [candidate] = order_candidates([short], listed, input_tokens=1, output_tokens=1_000)

    assert candidate.expected_cost == Money.from_usd("0.0001")


def test_equal_costs_keep_the_order_of_the_policy():
    same = price("1", "2")
    models = [model(name, price=same) for name in ("b", "a", "c")]

    assert names(order_candidates(models, listed, input_tokens=7)) == ["b", "a", "c"]


def test_an_unknown_price_is_not_zero():
    models = [model("unpriced"), model("priced", price=price("100", "100"))]

    kept = order_candidates(models, listed, input_tokens=7, allow_unpriced=True)
    refused = order_candidates(models, listed, input_tokens=7)

    assert names(kept) == ["priced", "unpriced"]
    assert kept[1].expected_cost is None
    assert names(refused) == ["priced"]
    assert order_candidates(models[:1], listed, input_tokens=7) == ()


@given(st.lists(st.none() | st.integers(0, 3), max_size=8))
def test_order_is_by_cost_then_policy_with_unpriced_last(costs):
    class Quoted:
        def __init__(self, nano):
            self.nano = nano

        def cost(self, _usage: Usage) -> Money:
            return Money(self.nano)

    quotes = {f"m{i}": None if c is None else Quoted(c) for i, c in enumerate(costs)}
    models = [model(name) for name in quotes]

    ordered = order_candidates(
        models, lambda settings: quotes[settings.name], input_tokens=1, allow_unpriced=True
    )

    assert sorted(names(ordered)) == sorted(quotes)
    keys = [
        (c.expected_cost is None, c.expected_cost or Money.ZERO, int(c.settings.name[1:]))
        for c in ordered
    ]
    assert keys == sorted(keys)


def test_input_is_estimated_at_four_bytes_a_token():
    short = estimate_input_tokens([{"role": "user", "content": "a" * 400}])
    longer = estimate_input_tokens([{"role": "user", "content": "ä" * 400}])

    assert 100 <= short <= 115
    assert longer - short == 100
    assert estimate_input_tokens([], [{"name": "x" * 40}]) > estimate_input_tokens([])
