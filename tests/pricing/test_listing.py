"""One shape for both price lists."""

from decimal import Decimal

import pytest

from orchestrator.core.usage import STANDARD
from orchestrator.pricing.listing import Listing, disagreement, tiers
from orchestrator.pricing.litellm_list import _tables
from orchestrator.pricing.quote import Tier


def listing(table: dict[int, dict[str, str]], source: str = "a") -> Listing:
    built = tiers(
        {
            above: {part: Decimal(price) for part, price in parts.items()}
            for above, parts in table.items()
        },
        source=source,
    )
    assert built is not None
    return Listing(tiers=built)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {0: {}},
        {0: {"input": "1"}},
        {0: {"output": "1"}},
        {0: {"input": "0", "output": "0"}},
        {0: {"input": "1", "output": "0"}},
        {0: {"input": "-1", "output": "-1"}},
        {128_000: {"input": "1", "output": "1"}},
    ],
)
def test_half_a_price_is_none(table: dict[int, dict[str, str]]):
    decimals = {a: {k: Decimal(v) for k, v in parts.items()} for a, parts in table.items()}

    assert tiers(decimals, source="a") is None


def test_a_tier_keeps_what_it_does_not_name():
    short, long = listing(
        {200: {"input": "2"}, 0: {"input": "1", "output": "3", "cached_input": "0.1"}}
    ).tiers

    assert (short.above, long.above) == (0, 200)
    assert (long.price.input, long.price.output) == (2, 3)
    assert long.price.cached_input == Decimal("0.1")


def test_reasoning_that_is_priced_as_output_follows_it_into_dearer_tiers():
    long = listing(
        {0: {"input": "1", "output": "3", "reasoning": "3"}, 200: {"output": "5"}}
    ).tiers[1]

    assert long.price.reasoning is None
    assert long.price.dearest_output == 5


def test_a_cached_price_of_zero_is_not_stated():
    assert (
        listing({0: {"input": "1", "output": "1", "cached_input": "0"}}).tiers[0].price.cached_input
        is None
    )


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"input": "1", "output": "2"}, {"input": "1", "output": "2"}, None),
        ({"input": "1", "output": "2"}, {"input": "1.01", "output": "2"}, None),
        ({"input": "1", "output": "2"}, {"input": "1.0101", "output": "2"}, "input 1 and 1.0101"),
        ({"input": "1", "output": "2.5"}, {"input": "1", "output": "2"}, "output 2.5 and 2"),
        ({"input": "1", "output": "2", "cached_input": "0.1"}, {"input": "1", "output": "2"}, None),
    ],
)
def test_lists_disagree_above_one_percent(
    first: dict[str, str], second: dict[str, str], said: str | None
):
    text = disagreement(listing({0: first}), listing({0: second}, "b"))

    if said is None:
        assert text is None
    else:
        assert text is not None
        assert text.startswith("a and b differ")
        assert said in text


def test_an_entry_with_thresholds_in_its_keys_becomes_tiers():
    entry = {
        "input_cost_per_token": Decimal("0.000001"),
        "output_cost_per_token": Decimal("0.000002"),
        "input_cost_per_token_above_128k_tokens": Decimal("0.000003"),
        "input_cost_per_token_above_128k_tokens_batches": Decimal("0.0000001"),
        "cache_creation_input_token_cost_above_1hr": Decimal(9),
        "output_cost_per_token_above_200k_tokens": None,
        "supports_vision": True,
    }
    built = tiers(_tables(entry)[STANDARD], source="a")

    assert built is not None
    assert [(tier.above, tier.price.input, tier.price.output) for tier in built] == [
        (0, 1, 2),
        (128_000, 3, 2),
    ]


def test_an_entry_with_bands_becomes_tiers():
    entry = {
        "tiered_pricing": [
            {
                "range": [0, Decimal("32000.0")],
                "input_cost_per_token": Decimal("0.000001"),
                "output_cost_per_token": Decimal("0.000002"),
            },
            {
                "range": [Decimal("32000.0"), Decimal("64000.0")],
                "input_cost_per_token": Decimal("0.000003"),
                "output_cost_per_token": Decimal("0.000004"),
            },
            {"max_results_range": [0, 25], "input_cost_per_query": Decimal(1)},
        ]
    }
    built = tiers(_tables(entry)[STANDARD], source="a")

    assert built is not None
    assert [(tier.above, tier.price.input) for tier in built] == [(0, 1), (32_000, 3)]
    assert isinstance(built[0], Tier)
