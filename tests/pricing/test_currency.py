"""Amounts in other currencies: exact, and by the rate of one day."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.book import PriceBook
from orchestrator.pricing.currency import Foreign, Rates, day_of
from orchestrator.pricing.price import Price
from orchestrator.pricing.resources import ResourcePrice

JANUARY, JULY = date(2026, 1, 1), date(2026, 7, 1)
EUR = Rates.of("EUR", {JULY: Decimal("1.12"), JANUARY: Decimal("1.08")})
NUMBERS = st.decimals(0, 10**9, places=9)
RATES = st.decimals("0.000001", 10**6, places=6)


@pytest.mark.parametrize(
    ("day", "usd"),
    [
        (date(2025, 6, 1), "1.08"),
        (JANUARY, "1.08"),
        (JULY - timedelta(days=1), "1.08"),
        (JULY, "1.12"),
        (date(2030, 1, 1), "1.12"),
    ],
)
def test_a_rate_holds_from_its_day_until_the_next_and_the_first_before_too(day, usd):
    assert EUR.on(day).usd == Decimal(usd)


def test_the_day_of_a_moment_is_that_in_utc():
    moment = datetime(2026, 7, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert day_of(moment) == date(2026, 6, 30)


@given(number=NUMBERS, rate=RATES, precision=st.integers(1, 28))
def test_an_amount_is_worth_exactly_its_rate(number, rate, precision):
    rates = Rates.of("GBP", {JANUARY: rate})
    with localcontext() as context:
        context.prec = precision
        worth = Foreign(number, rates).on(JULY)
    assert Fraction(worth) == Fraction(number) * Fraction(rate)


@given(nano=st.integers(0, 10**18), rate=RATES)
def test_what_is_shown_is_within_half_a_billionth(nano, rate):
    shown, currency = Rates.of("CHF", {JANUARY: rate}).on(JULY).shows(Money(nano)).split()
    assert currency == "CHF"
    assert abs(Fraction(shown) - Fraction(nano, 10**9) / Fraction(rate)) <= Fraction(1, 2 * 10**9)


def test_a_models_price_is_that_of_the_day_it_is_asked_and_says_so():
    price = Price(input=Decimal("0.10"), output=Decimal("0.40"), rates=EUR)
    before = datetime(2026, 6, 30, 23, 59, tzinfo=UTC)
    costs = []
    for at in (before, before + timedelta(minutes=1)):
        quote = PriceBook().quote("openai/foo", override=price, at=at)
        assert quote.knows_tier("flex")
        costs.append((quote.cost(Usage(1000, 100)).nano, quote.source))
    assert costs == [
        (int(140_000 * Decimal("1.08")), "policy (1 EUR = 1.08 USD of 2026-01-01)"),
        (int(140_000 * Decimal("1.12")), "policy (1 EUR = 1.12 USD of 2026-07-01)"),
    ]


def test_a_flat_cost_is_spread_in_its_own_currency_and_rounded_once():
    flat = ResourcePrice(Decimal(3000), 2_000_000, EUR)
    assert flat.on(JANUARY).cost(Decimal(7)) == Money.from_usd("0.01134")
    assert flat.on(JULY).cost(Decimal(1)) == Money.from_usd("0.00168")
