"""The bound holds for whatever a provider can bill."""

import decimal
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.price import Price
from orchestrator.pricing.quote import ASSUMED_PRICE, Quote, Tier, assumed_quote

USD = st.decimals(min_value=0, max_value=1000, places=6)
PRICES = st.builds(
    Price,
    input=USD,
    output=USD,
    cached_input=st.none() | USD,
    cache_write=st.none() | USD,
    cache_write_hour=st.none() | USD,
    reasoning=st.none() | USD,
    input_audio=st.none() | USD,
    input_image=st.none() | USD,
    output_audio=st.none() | USD,
    output_image=st.none() | USD,
)
THRESHOLDS = st.sets(st.integers(1, 1_000_000), max_size=3).map(lambda found: (0, *sorted(found)))
QUOTES = THRESHOLDS.flatmap(
    lambda above: st.builds(
        Quote,
        tiers=(tiers := st.tuples(*(st.builds(Tier, st.just(start), PRICES) for start in above))),
        service_tiers=st.dictionaries(st.sampled_from(["flex", "priority"]), tiers),
        request_fee=USD,
    )
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    whole, output = draw(st.integers(1, 10**9)), draw(st.integers(1, 10**9))
    cached = draw(st.integers(0, whole))
    written = draw(st.integers(0, whole - cached))
    return Usage(whole, output, cached, written, draw(st.integers(0, output)))


@st.composite
def rich_usages(draw: st.DrawFn) -> Usage:
    """Usages of every kind of token."""
    usage = draw(usages())
    audio = draw(st.integers(0, usage.input_tokens))
    spoken = draw(st.integers(0, usage.output_tokens - usage.reasoning_tokens))
    rest = usage.output_tokens - usage.reasoning_tokens - spoken
    return replace(
        usage,
        cache_write_hour_tokens=draw(st.none() | st.integers(0, usage.cache_write_tokens)),
        input_audio_tokens=audio,
        input_image_tokens=draw(st.integers(0, usage.input_tokens - audio)),
        output_audio_tokens=spoken,
        output_image_tokens=draw(st.integers(0, rest)),
        tier=draw(st.sampled_from(["standard", "flex"])),
    )


@given(QUOTES, rich_usages())
def test_no_usage_of_any_kind_of_token_costs_more_than_the_bound(quote: Quote, usage: Usage):
    asked = replace(quote, asked_tier="flex", hour_cache=True, media=True)

    bound = asked.bound(usage.input_tokens, usage.output_tokens)

    assert Money.ZERO <= asked.cost(usage) <= bound


@given(QUOTES, usages(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_usage_within_the_tokens_costs_more_than_the_bound(
    quote: Quote, usage: Usage, more_input: int, more_output: int
):
    bound = quote.bound(usage.input_tokens + more_input, usage.output_tokens + more_output)

    assert Money.ZERO <= quote.cost(usage) <= bound


@given(QUOTES, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bound_grows_with_its_tokens(quote: Quote, tokens: int, more: int, output: int):
    assert quote.bound(tokens, output) <= quote.bound(tokens + more, output)
    assert quote.bound(output, tokens) <= quote.bound(output, tokens + more)


@given(PRICES, usages())
def test_a_cost_is_exact_and_rounded_up_by_less_than_one_nano(price: Price, usage: Usage):
    quote = Quote(tiers=(Tier(0, price),))
    with decimal.localcontext(decimal.Context(prec=200, traps=[decimal.Inexact])):
        cached, written = usage.cached_input_tokens, usage.cache_write_tokens
        plain = usage.input_tokens - cached - written
        exact = (
            plain * price.input
            + cached * (price.input if price.cached_input is None else price.cached_input)
            + written * (price.input if price.cache_write is None else price.cache_write)
            + (usage.output_tokens - usage.reasoning_tokens) * price.output
            + usage.reasoning_tokens
            * (price.output if price.reasoning is None else price.reasoning)
        ) * 1000  # USD per million tokens -> nano-dollars
        excess = quote.cost(usage).nano - exact

    assert 0 <= excess < 1


def test_a_precision_lowered_by_an_agent_changes_no_cost():
    quote = Quote(tiers=(Tier(0, Price(input=Decimal("1.2345678"), output=Decimal(1))),))
    with decimal.localcontext(decimal.Context(prec=2)):
        # 1,234,567 x 1,234.5678 + 1,000 = 1,524,157,665.1426, rounded up
        assert quote.cost(Usage(1_234_567, 1)) == Money(1_524_157_666)


def test_the_dearest_part_makes_the_bound():
    price = Price(
        input=Decimal(1),
        output=Decimal(2),
        cached_input=Decimal("0.1"),
        cache_write=Decimal("1.25"),
        reasoning=Decimal(3),
    )

    assert Quote(tiers=(Tier(0, price),)).bound(100, 10) == Money(100 * 1250 + 10 * 3000)


def test_only_tiers_within_reach_make_the_bound():
    short = Price(input=Decimal(1), output=Decimal(2))
    long = Price(input=Decimal(10), output=Decimal(20))
    quote = Quote(tiers=(Tier(0, short), Tier(1000, long)))

    assert quote.bound(999, 0) == Money(999 * 1000)
    assert quote.bound(1001, 1) == Money(1001 * 10_000 + 20_000)
    assert quote.cost(Usage(1000, 1)) == Money(1000 * 1000 + 2000)
    assert quote.cost(Usage(1001, 1)) == Money(1001 * 10_000 + 20_000)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(0, 5),
        Usage(5, 0),
        Usage(-5, 5),
        Usage(5, 5, cached_input_tokens=6),
        Usage(5, 5, cached_input_tokens=3, cache_write_tokens=3),
        Usage(5, 5, cached_input_tokens=-1),
        Usage(5, 5, reasoning_tokens=6),
    ],
)
def test_counts_that_cannot_be_true_have_no_cost(usage: Usage):
    """Elsewhere cached tokens above the input made a cost negative."""
    with pytest.raises(ValueError, match="book the bound"):
        assumed_quote().cost(usage)


@pytest.mark.parametrize(("tokens", "output"), [(-1, 0), (0, -1)])
def test_negative_bounds_are_refused(tokens: int, output: int):
    with pytest.raises(ValueError, match="0 or more"):
        assumed_quote().bound(tokens, output)


def test_what_the_cache_keeps_for_an_hour_costs_twice_the_input():
    price = Price(input=Decimal(5), output=Decimal(25), cache_write=Decimal("6.25"))
    quote = Quote(tiers=(Tier(0, price), Tier(1000, replace(price, input=Decimal(10)))))
    hour = replace(quote, hour_cache=True)
    usage = Usage(100, 1, cache_write_tokens=100)

    assert quote.cost(usage) == Money.from_usd("0.00065")
    assert hour.cost(usage) == Money.from_usd("0.001025")
    assert hour.bound(100, 1) == Money.from_usd("0.001025")
    assert hour.bound(1001, 0) == Money.from_usd("0.02002")


@given(QUOTES, usages())
def test_no_request_is_cheaper_for_keeping_its_cache_an_hour(quote: Quote, usage: Usage):
    unlisted = tuple(Tier(t.above, replace(t.price, cache_write_hour=None)) for t in quote.tiers)
    quote = replace(quote, tiers=unlisted)

    assert replace(quote, hour_cache=True).cost(usage) >= quote.cost(usage)


def test_an_assumed_price_is_dear_and_says_so():
    quote = assumed_quote()

    assert quote.assumed
    assert quote.source == "assumed"
    assert quote.bound(1_000_000, 1_000_000) == Money.from_usd(
        ASSUMED_PRICE.input + ASSUMED_PRICE.output
    )


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        ("input", 0.1, TypeError),
        ("output", 1, TypeError),
        ("input", None, TypeError),
        ("cached_input", 0.1, TypeError),
        ("output", Decimal(-1), ValueError),
        ("reasoning", Decimal("NaN"), ValueError),
        ("cache_write", Decimal("Infinity"), ValueError),
    ],
)
def test_what_is_no_price_is_refused(part: str, value: object, error: type[Exception]):
    parts: dict[str, object] = {"input": Decimal(1), "output": Decimal(1), part: value}

    with pytest.raises(error, match=rf"price\.{part} is .*; write "):
        Price(**parts)  # type: ignore[arg-type]  # wrong on purpose
