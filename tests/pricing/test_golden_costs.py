"""Costs worked out by hand from the providers' price pages, in nano-dollars.

A price of 1 USD per million tokens is 1,000 nano-dollars per token.
"""

from datetime import UTC, datetime

import pytest

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.book import PriceBook

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def book():
    return PriceBook()


@pytest.mark.parametrize(
    ("model", "usage", "nano"),
    [
        # 1,000 x 50 + 200 x 400
        ("openai/gpt-5-nano", Usage(1000, 200), 130_000),
        # Cached tokens lie inside the input: 200 x 50 + 800 x 5 + 200 x 400
        ("openai/gpt-5-nano", Usage(1000, 200, cached_input_tokens=800), 94_000),
        # Reasoning lies inside the output and costs the same: nothing is added
        ("openai/gpt-5-nano", Usage(1000, 200, reasoning_tokens=150), 130_000),
        # 976 x 2,500 + 1,024 x 1,250 + 500 x 10,000
        ("openai/gpt-4o", Usage(2000, 500, cached_input_tokens=1024), 8_720_000),
        # 10,000 x 2,000 + 1,000 x 8,000
        ("openai/gpt-4.1", Usage(10_000, 1000), 28_000_000),
        # 1,000 x 1,000 + 100 x 5,000
        ("anthropic/claude-haiku-4-5", Usage(1000, 100), 1_500_000),
        # 100 x 1,000 + 300 x 100 + 600 x 1,250 + 100 x 5,000
        (
            "anthropic/claude-haiku-4-5",
            Usage(1000, 100, cached_input_tokens=300, cache_write_tokens=600),
            1_380_000,
        ),
        # 500 x 5,000 + 1,500 x 500 + 1,000 x 25,000
        ("anthropic/claude-opus-4-5", Usage(2000, 1000, cached_input_tokens=1500), 28_250_000),
        # The last short request: 200,000 x 3,000 + 1,000 x 15,000
        ("anthropic/claude-sonnet-4-5", Usage(200_000, 1000), 615_000_000),
        # One token more, and all of it is long context: 200,001 x 6,000 + 1,000 x 22,500
        ("anthropic/claude-sonnet-4-5", Usage(200_001, 1000), 1_222_506_000),
        # Short without its cached part, but the whole counts: 1 x 6,000 + 200,000 x 600 + 22,500
        (
            "anthropic/claude-sonnet-4-5",
            Usage(200_001, 1, cached_input_tokens=200_000),
            120_028_500,
        ),
        # 60,000 x 1,250 + 40,000 x 125 + 2,000 x 10,000
        (
            "gemini/gemini-2.5-pro",
            Usage(100_000, 2000, cached_input_tokens=40_000, reasoning_tokens=1500),
            100_000_000,
        ),
        # Long context: 200,000 x 2,500 + 100,000 x 250 + 2,000 x 15,000
        ("gemini/gemini-2.5-pro", Usage(300_000, 2000, cached_input_tokens=100_000), 555_000_000),
        # 1,234 x 300 + 567 x 2,500
        ("gemini/gemini-2.5-flash", Usage(1234, 567), 1_787_700),
        # 1 x 100 + 1 x 400
        ("gemini/gemini-2.5-flash-lite", Usage(1, 1), 500),
        # A fee of 12 USD per thousand requests comes on top: 100 x 1,000 + 100 x 1,000
        ("perplexity/sonar", Usage(100, 100), 12_200_000),
        # Tiers of the second list: 32,001 x 2,400 + 100 x 12,000
        ("dashscope/qwen3-max", Usage(32_001, 100), 78_002_400),
        # Reasoning priced apart: 1,000 x 50 + 100 x 200 + 200 x 500
        ("dashscope/qwen-turbo", Usage(1000, 300, reasoning_tokens=200), 170_000),
    ],
)
def test_a_cost_is_what_one_works_out_by_hand(book: PriceBook, model: str, usage: Usage, nano: int):
    quote = book.quote(model, override=None, at=AT)

    assert quote is not None
    assert quote.cost(usage) == Money(nano)


@pytest.mark.parametrize(
    ("model", "same_as"),
    [
        ("gpt-5-nano", "openai/gpt-5-nano"),
        ("azure/gpt-5-nano", "openai/gpt-5-nano"),
        ("openrouter/openai/gpt-5-nano", "openai/gpt-5-nano"),
        ("openai/responses/gpt-5-nano", "openai/gpt-5-nano"),
        ("claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
        ("anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ("vertex_ai/claude-haiku-4-5@20251001", "anthropic/claude-haiku-4-5"),
        (
            "bedrock/converse/global.anthropic.claude-haiku-4-5-20251001-v1:0",
            "anthropic/claude-haiku-4-5",
        ),
        ("vertex_ai/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
    ],
)
def test_a_name_with_a_prefix_finds_its_price(book: PriceBook, model: str, same_as: str):
    """Elsewhere prefixed names missed the price map, all cost nothing, and tied."""
    usage = Usage(1000, 500, cached_input_tokens=100, reasoning_tokens=20)
    named, plain = (book.quote(name, override=None, at=AT) for name in (model, same_as))

    assert named is not None
    assert plain is not None
    assert named.cost(usage) == plain.cost(usage) > Money.ZERO


def test_prefixed_models_do_not_tie(book: PriceBook):
    names = ["openai/gpt-5-nano", "anthropic/claude-haiku-4-5", "anthropic/claude-opus-4-5"]
    quotes = [book.quote(name, override=None, at=AT) for name in names]
    costs = [quote.cost(Usage(1000, 500)) for quote in quotes if quote]

    assert costs == sorted(set(costs))
    assert len(costs) == len(names)


def test_the_same_model_costs_what_the_named_provider_takes(book: PriceBook):
    usage = Usage(1_000_000, 1)
    regional = book.quote(
        "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", override=None, at=AT
    )
    own = book.quote("anthropic/claude-haiku-4-5", override=None, at=AT)

    assert regional is not None
    assert own is not None
    assert regional.price.input == own.price.input * 11 / 10
    assert regional.cost(usage) > own.cost(usage)
