"""Where a price comes from, and what is unknown."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
)

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.book import PriceBook
from orchestrator.pricing.genai_list import _active
from orchestrator.pricing.litellm_list import LitellmPrices
from orchestrator.pricing.price import Price

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
FREE = Price(input=Decimal(0), output=Decimal(0))


@pytest.fixture(scope="module")
def book():
    return PriceBook()


def test_the_policy_wins_over_every_list(book: PriceBook):
    price = Price(input=Decimal("0.10"), output=Decimal("0.40"))
    quote = book.quote("openai/gpt-4o", override=price, at=AT)

    assert quote is not None
    assert quote.price == price
    assert (quote.source, quote.as_of, quote.disagreement) == ("policy", None, None)


def test_a_price_of_input_and_output_alone_prices_every_part_dearly_enough(book: PriceBook):
    price = Price(input=Decimal(1), output=Decimal(4))
    quote = book.quote("openai/my-own", override=price, at=AT)
    usage = Usage(100, 50, cached_input_tokens=30, cache_write_tokens=20, reasoning_tokens=10)

    assert quote is not None
    assert quote.cost(usage) == Money(100 * 1000 + 50 * 4000)


def test_only_the_policy_can_say_that_a_model_is_free(book: PriceBook):
    quote = book.quote("ollama/llama3", override=FREE, at=AT)

    assert quote is not None
    assert quote.cost(Usage(1000, 1000)) == Money.ZERO
    assert book.quote("ollama/llama3", override=None, at=AT) is None


@pytest.mark.parametrize(
    "model",
    [
        "openai/no-such-model",
        "no-such-model",
        "no-such-provider/gpt-5-nano",
        "no-such-provider/claude-haiku-4-5",
        "my-openai-proxy/gpt-5-nano",  # a provider's name inside another is not that provider
        "ollama/llama3",  # listed at 0.0 for both
        "openrouter/meta-llama/llama-3.3-70b-instruct:free",  # listed without a price
        "azure_ai/model_router",  # listed with an input price and an output of 0
        "openai/text-embedding-3-small",  # gives no output, so it is no model to ask
        "sample_spec",
        "groq/gpt-5-nano",  # another provider's model
        "anthropic/gpt-5-nano",
        "openai/",
        "/gpt-5-nano",
        "",
    ],
)
def test_an_unknown_price_is_none_and_never_zero(book: PriceBook, model: str):
    assert book.quote(model, override=None, at=AT) is None


def test_no_listed_model_costs_nothing(book: PriceBook):
    """Every name of the second list: whatever is quoted costs something in both directions."""
    names = LitellmPrices()._entries
    quotes = {name: book.quote(name, override=None, at=AT) for name in names}
    quoted = {name: quote for name, quote in quotes.items() if quote}

    assert len(quoted) > 1000
    assert [
        name
        for name, quote in quoted.items()
        if any(tier.price.input <= 0 or tier.price.output <= 0 for tier in quote.tiers)
    ] == []


def test_prices_are_dated(book: PriceBook):
    """OpenAI cut o3 to a fifth on 10 June 2025, at midnight UTC."""
    midnight = datetime(2025, 6, 10, tzinfo=UTC)
    before = book.quote("openai/o3", override=None, at=midnight - timedelta(seconds=1))
    after = book.quote("openai/o3", override=None, at=midnight)
    elsewhere = book.quote(
        "openai/o3",
        override=None,
        at=datetime(2025, 6, 10, 1, tzinfo=timezone(timedelta(hours=2))),
    )

    assert before is not None
    assert after is not None
    assert elsewhere is not None
    assert (before.price.input, before.price.output) == (10, 40)
    assert (after.price.input, after.price.output, after.as_of) == (2, 8, date(2025, 6, 10))
    assert elsewhere.price.input == 10, "01:00 in a zone two hours ahead is still the day before"


def test_prices_follow_the_time_of_day(book: PriceBook):
    night = book.quote(
        "deepseek/deepseek-chat", override=None, at=datetime(2026, 11, 1, 0, 29, 59, tzinfo=UTC)
    )
    day = book.quote(
        "deepseek/deepseek-chat", override=None, at=datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
    )

    assert night is not None
    assert day is not None
    assert night.price.input * 2 == day.price.input


def test_a_moment_before_the_first_dated_price_has_that_price():
    prices = [
        ConditionalPrice(StartDateConstraint(date(2025, 6, 1)), prices=ModelPrice()),
        ConditionalPrice(StartDateConstraint(date(2025, 7, 1)), prices=ModelPrice()),
    ]
    info = ModelInfo("m", match=ClauseEquals("m"), prices=prices)

    assert _active(info, datetime(2025, 5, 1, tzinfo=UTC)) == (prices[0].prices, None)
    assert _active(info, datetime(2025, 8, 1, tzinfo=UTC)) == (prices[1].prices, date(2025, 7, 1))


def test_a_naive_moment_is_refused(book: PriceBook):
    with pytest.raises(ValueError, match=r"datetime\.now\(UTC\)"):
        book.quote("openai/o3", override=None, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_a_quote_is_kept_for_its_minute(book: PriceBook):
    minute = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    first = book.quote("openai/gpt-4.1", override=None, at=minute)

    assert book.quote("openai/gpt-4.1", override=None, at=minute.replace(second=59)) is first
    assert book.quote("openai/gpt-4.1", override=None, at=minute.replace(minute=1)) is not first


@pytest.mark.parametrize(
    ("api_base", "model", "price"),
    [
        # Another provider's address: its price, whatever the prefix that chose the protocol
        ("https://api.groq.com/openai/v1", "openai/llama-3.3-70b-versatile", "0.59"),
        ("https://openrouter.ai/api/v1", "openai/openai/gpt-5-nano", "0.05"),
        ("https://api.groq.com/openai/v1", "openai/gpt-5-nano", None),
        # The provider's own address
        ("https://api.openai.com/v1", "openai/gpt-5-nano", "0.05"),
        # A gateway or a server of one's own: the name decides
        ("http://127.0.0.1:4000/v1", "openai/gpt-5-nano", "0.05"),
        ("http://127.0.0.1:4000/v1", "openai/my-own", None),
    ],
)
def test_the_address_decides_if_it_is_a_known_provider(
    book: PriceBook, api_base: str, model: str, price: str | None
):
    quote = book.quote(model, override=None, at=AT, api_base=api_base)

    assert (quote and str(quote.price.input)) == price


def test_an_address_leads_to_the_second_list_too(book: PriceBook):
    quote = book.quote(
        "openai/deepseek-ai/DeepSeek-V3",
        override=None,
        at=AT,
        api_base="https://api.together.xyz/v1",
    )

    assert quote is not None
    assert quote.source.startswith("litellm ")


def test_lists_that_disagree_are_named(book: PriceBook):
    quote = book.quote("anthropic/claude-sonnet-4-5", override=None, at=AT)

    assert quote is not None
    assert quote.source.startswith("genai-prices ")
    assert quote.disagreement is not None
    assert "input above 200000 input tokens 6 and 3" in quote.disagreement
    assert "genai-prices" in quote.disagreement
    assert "litellm" in quote.disagreement
    assert "policy" in quote.disagreement, "it says what to do"


def test_lists_that_agree_say_nothing(book: PriceBook):
    quote = book.quote("openai/gpt-5-nano", override=None, at=AT)

    assert quote is not None
    assert quote.disagreement is None


def test_sizes_come_with_the_price(book: PriceBook):
    quote = book.quote("anthropic/claude-haiku-4-5", override=None, at=AT)
    long = book.quote("anthropic/claude-sonnet-4-5", override=None, at=AT)

    assert quote is not None
    assert (quote.context_window, quote.max_output_tokens) == (200_000, 64_000)
    assert long is not None
    assert long.context_window is None, "it has a price above the window that is listed"


def test_the_second_list_needs_no_import_of_litellm():
    program = """
import sys
from datetime import UTC, datetime
from orchestrator.pricing.book import PriceBook

book = PriceBook()
assert "genai_prices" not in sys.modules, "read before it was needed"
assert book.quote("dashscope/qwen3-max", override=None, at=datetime.now(UTC))
assert "litellm" not in sys.modules
"""
    outcome = subprocess.run([sys.executable, "-c", program], check=False)

    assert outcome.returncode == 0


def test_a_list_is_read_once_per_book(monkeypatch: pytest.MonkeyPatch):
    reads = []
    monkeypatch.setattr(
        "orchestrator.pricing.litellm_list.version", lambda name: reads.append(name) or "0"
    )
    book = PriceBook()
    for name in ("dashscope/qwen3-max", "openai/gpt-4o"):
        assert book.quote(name, override=None, at=AT)

    assert reads == ["litellm"]


def test_a_missing_price_map_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("orchestrator.pricing.litellm_list.find_spec", lambda _name: None)

    with pytest.raises(FileNotFoundError, match="install it anew"):
        LitellmPrices()
