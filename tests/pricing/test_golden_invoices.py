"""Usage records of ten providers, priced by hand from the rules on their price pages.

A price of 1 USD per million tokens is 1,000 nano-dollars per token. The records are written for
this test, from the providers' documentation of their usage fields; none comes from a real account.
"""

from datetime import UTC, datetime

import pytest

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.book import PriceBook

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
PEAK, OFF_PEAK = datetime(2025, 3, 1, 12, tzinfo=UTC), datetime(2025, 3, 1, 20, tzinfo=UTC)

OPENAI = [
    ("openai/gpt-5", Usage(1000, 500), 1000 * 1_250 + 500 * 10_000),
    # Cached tokens at a tenth, and inside the input.
    ("openai/gpt-5", Usage(4096, 100, 3072), 1024 * 1_250 + 3072 * 125 + 100 * 10_000),
    # Reasoning is output, billed once.
    ("openai/gpt-5", Usage(50, 4000, reasoning_tokens=3900), 50 * 1_250 + 4000 * 10_000),
    # Flex and batch at half, priority at double.
    ("openai/gpt-5", Usage(1000, 500, tier="flex"), 1000 * 625 + 500 * 5_000),
    ("openai/gpt-5", Usage(1000, 500, tier="batch"), 1000 * 625 + 500 * 5_000),
    ("openai/gpt-5", Usage(1000, 500, tier="priority"), 1000 * 2_500 + 500 * 20_000),
    (
        "openai/gpt-5",
        Usage(2048, 500, 1024, tier="priority"),
        1024 * 2_500 + 1024 * 250 + 500 * 20_000,
    ),
    # A tier has its own price for what is read from the cache.
    (
        "openai/gpt-5",
        Usage(4096, 100, 3072, tier="flex"),
        1024 * 625 + 3072 * 625 // 10 + 100 * 5_000,
    ),
    (
        "openai/gpt-5",
        Usage(4096, 100, 3072, tier="batch"),
        1024 * 625 + 3072 * 625 // 10 + 100 * 5_000,
    ),
    ("openai/gpt-5-mini", Usage(1000, 500, tier="priority"), 1000 * 450 + 500 * 3_600),
    ("openai/o3", Usage(700, 900, reasoning_tokens=800, tier="flex"), 700 * 1_000 + 900 * 4_000),
    ("openai/gpt-4.1-mini", Usage(10, 10, tier="batch"), 10 * 200 + 10 * 800),
    # Audio is dearer than text, on both sides.
    (
        "openai/gpt-audio",
        Usage(1200, 800, input_audio_tokens=1000, output_audio_tokens=600),
        200 * 2_500 + 1000 * 32_000 + 200 * 10_000 + 600 * 64_000,
    ),
]
AZURE = [
    ("azure/gpt-4o", Usage(2000, 500, 1024), 976 * 2_500 + 1024 * 1_250 + 500 * 10_000),
    ("azure/gpt-5", Usage(300, 300, tier="batch"), 300 * 625 + 300 * 5_000),
    ("azure/gpt-4.1", Usage(300, 300, tier="priority"), 300 * 3_500 + 300 * 14_000),
]
ANTHROPIC = [
    ("anthropic/claude-sonnet-4-5", Usage(1000, 500), 1000 * 3_000 + 500 * 15_000),
    # Read at a tenth; written for five minutes at 1.25 times, for an hour at twice the input.
    (
        "anthropic/claude-sonnet-4-5",
        Usage(10_000, 500, 8000, 1500),
        500 * 3_000 + 8000 * 300 + 1500 * 3_750 + 500 * 15_000,
    ),
    (
        "anthropic/claude-sonnet-4-5",
        Usage(10_000, 500, 8000, 1500, cache_write_hour_tokens=1500),
        500 * 3_000 + 8000 * 300 + 1500 * 6_000 + 500 * 15_000,
    ),
    (
        "anthropic/claude-sonnet-4-5",
        Usage(10_000, 500, 8000, 1500, cache_write_hour_tokens=1000),
        500 * 3_000 + 8000 * 300 + 500 * 3_750 + 1000 * 6_000 + 500 * 15_000,
    ),
    # Beyond 200,000 tokens of input everything is long context, what is cached too.
    (
        "anthropic/claude-sonnet-4-5",
        Usage(250_000, 1000, 200_000, 40_000),
        10_000 * 6_000 + 200_000 * 600 + 40_000 * 7_500 + 1000 * 22_500,
    ),
    ("anthropic/claude-haiku-4-5", Usage(900, 90, tier="batch"), 900 * 500 + 90 * 2_500),
    (
        "anthropic/claude-haiku-4-5",
        Usage(900, 90, 500, 300, cache_write_hour_tokens=0),
        100 * 1_000 + 500 * 100 + 300 * 1_250 + 90 * 5_000,
    ),
    (
        "anthropic/claude-opus-4-5",
        Usage(2000, 1000, 500, tier="batch"),
        1500 * 2_500 + 500 * 250 + 1000 * 12_500,
    ),
]
# A batch costs half of everything: of each cache, and of long context too.
ANTHROPIC_BATCH = [
    (
        "anthropic/claude-sonnet-4-5",
        Usage(10_000, 500, 8000, 1500, cache_write_hour_tokens=1000, tier="batch"),
        500 * 1_500 + 8000 * 150 + 500 * 1_875 + 1000 * 3_000 + 500 * 7_500,
    ),
    (
        "anthropic/claude-sonnet-4-5",
        Usage(250_000, 1000, tier="batch"),
        250_000 * 3_000 + 1000 * 11_250,
    ),
]
GEMINI = [
    # Thoughts are output.
    (
        "gemini/gemini-2.5-pro",
        Usage(5000, 3000, reasoning_tokens=2500),
        5000 * 1_250 + 3000 * 10_000,
    ),
    ("gemini/gemini-2.5-pro", Usage(200_000, 1), 200_000 * 1_250 + 10_000),
    ("gemini/gemini-2.5-pro", Usage(200_001, 1), 200_001 * 2_500 + 15_000),
    (
        "gemini/gemini-2.5-pro",
        Usage(300_000, 10, tier="priority"),
        300_000 * 4_500 + 10 * 27_000,
    ),
    ("gemini/gemini-2.5-flash", Usage(100, 100, tier="batch"), 100 * 150 + 100 * 1_250),
    (
        "gemini/gemini-2.5-flash",
        Usage(2000, 100, input_audio_tokens=1500, tier="batch"),
        500 * 150 + 1500 * 500 + 100 * 1_250,
    ),
    ("gemini/gemini-2.5-pro", Usage(300_000, 10, tier="batch"), 300_000 * 1_250 + 10 * 7_500),
    (
        "gemini/gemini-2.5-flash",
        Usage(2000, 100, input_audio_tokens=1500),
        500 * 300 + 1500 * 1_000 + 100 * 2_500,
    ),
    (
        "gemini/gemini-2.5-flash-lite",
        Usage(2000, 100, 400, input_audio_tokens=1500),
        100 * 100 + 400 * 10 + 1500 * 300 + 100 * 400,
    ),
    # One picture is 1,290 tokens of output at a price of its own.
    (
        "gemini/gemini-2.5-flash-image",
        Usage(30, 1310, output_image_tokens=1290),
        30 * 300 + 20 * 2_500 + 1290 * 30_000,
    ),
]
MISTRAL = [
    ("mistral/mistral-small-latest", Usage(1000, 1000), 1000 * 150 + 1000 * 600),
    ("mistral/mistral-small-latest", Usage(1000, 10, 900), 100 * 150 + 900 * 15 + 10 * 600),
    ("mistral/mistral-small-latest", Usage(1000, 1000, tier="batch"), 1000 * 75 + 1000 * 300),
    ("mistral/codestral-latest", Usage(333, 77), 333 * 300 + 77 * 900),
]
BEDROCK = [
    # A regional profile costs a tenth more than the provider's own address.
    (
        "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        Usage(1000, 100, 300, 600),
        100 * 1_100 + 300 * 110 + 600 * 1_375 + 100 * 5_500,
    ),
    (
        "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        Usage(1000, 100, 0, 600, cache_write_hour_tokens=600),
        400 * 1_100 + 600 * 2_200 + 100 * 5_500,
    ),
    ("bedrock/amazon.nova-pro-v1:0", Usage(1000, 100, 500), 500 * 800 + 500 * 200 + 100 * 3_200),
    ("bedrock/amazon.nova-pro-v1:0", Usage(1000, 100, tier="flex"), 1000 * 400 + 100 * 1_600),
    ("bedrock/amazon.nova-lite-v1:0", Usage(1000, 100, tier="batch"), 1000 * 30 + 100 * 120),
]
OTHERS = [
    ("xai/grok-4", Usage(1000, 100, 600), 400 * 3_000 + 600 * 750 + 100 * 15_000),
    ("groq/llama-3.3-70b-versatile", Usage(999, 1), 999 * 590 + 790),
    ("cohere/command-a-03-2025", Usage(40, 60), 40 * 2_500 + 60 * 10_000),
    # A fee for each request, by the smallest search context.
    ("perplexity/sonar", Usage(100, 100), 100 * 1_000 + 100 * 1_000 + 12_000_000),
]
INVOICES = [*OPENAI, *AZURE, *ANTHROPIC, *ANTHROPIC_BATCH, *GEMINI, *MISTRAL, *BEDROCK, *OTHERS]

DIFFERING = [
    ("anthropic/claude-sonnet-4-5", AT, "input above 200000 input tokens 6 and 3"),
    ("anthropic/claude-sonnet-4-5", AT, "batch input above 200000 input tokens 3 and 1.5"),
    ("gemini/gemini-2.5-pro", AT, "batch input above 200000 input tokens 1.25 and 0.625"),
    ("mistral/mistral-large-latest", AT, "input 2 and 0.5; output 6 and 1.5"),
    ("deepseek/deepseek-chat", PEAK, "input 0.27 and 0.28; output 1.1 and 0.42"),
    ("deepseek/deepseek-chat", OFF_PEAK, "input 0.135 and 0.28; output 0.55 and 0.42"),
    ("deepseek/deepseek-reasoner", PEAK, "input 0.55 and 0.28; output 2.19 and 0.42"),
    ("deepseek/deepseek-reasoner", OFF_PEAK, "input 0.135 and 0.28; output 0.55 and 0.42"),
]
"""Where the two price lists contradict each other, among the models of these providers."""


@pytest.fixture(scope="module")
def book():
    return PriceBook()


def test_there_are_enough_of_them():
    assert len(INVOICES) >= 40
    assert len({model.partition("/")[0] for model, *_ in INVOICES}) >= 8


@pytest.mark.parametrize(("model", "usage", "nano"), INVOICES)
def test_an_invoice_is_exact(book: PriceBook, model: str, usage: Usage, nano: int):
    quote = book.quote(model, override=None, at=AT)

    assert quote is not None
    assert quote.knows_tier(usage.tier)
    assert quote.cost(usage) == Money(nano)


def test_no_difference_among_them_is_missing_from_the_list(book: PriceBook):
    quotes = {model: book.quote(model, override=None, at=AT) for model, *_ in INVOICES}
    listed = {model for model, *_ in DIFFERING}
    assert {model for model, quote in quotes.items() if quote and quote.disagreement} <= listed


@pytest.mark.parametrize(("model", "at", "words"), DIFFERING)
def test_where_the_lists_differ_a_quote_says_how(
    book: PriceBook, model: str, at: datetime, words: str
):
    quote = book.quote(model, override=None, at=at)

    assert quote is not None
    assert quote.disagreement is not None
    assert words in quote.disagreement


def test_a_list_completes_the_other_only_where_they_agree(book: PriceBook):
    """Batch prices for one offer and standard prices for another would be nobody's price."""
    quote = book.quote("mistral/mistral-large-latest", override=None, at=AT)

    assert quote is not None
    assert quote.price.cached_input is None  # the other list has one, for another price
    assert dict(quote.service_tiers) == {}


def test_a_tier_without_a_price_is_priced_as_the_standard_one_and_not_called_known(
    book: PriceBook,
):
    quote = book.quote("groq/llama-3.3-70b-versatile", override=None, at=AT)

    assert quote is not None
    assert not quote.knows_tier("flex")
    assert quote.cost(Usage(10, 10, tier="flex")) == quote.cost(Usage(10, 10))


@pytest.mark.parametrize(
    ("model", "at", "nano"),
    [
        ("chat", PEAK, 60 * 270 + 40 * 70 + 100 * 1_100),
        ("chat", OFF_PEAK, 60 * 135 + 40 * 35 + 100 * 550),
        ("reasoner", PEAK, 60 * 550 + 40 * 140 + 100 * 2_190),
        ("reasoner", OFF_PEAK, 60 * 135 + 40 * 35 + 100 * 550),
    ],
)
def test_an_off_peak_hour_has_a_price_of_its_own(
    book: PriceBook, model: str, at: datetime, nano: int
):
    quote = book.quote(f"deepseek/deepseek-{model}", override=None, at=at)

    assert quote is not None
    assert quote.cost(Usage(100, 100, 40)) == Money(nano)
