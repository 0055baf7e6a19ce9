"""The table of what the end of an attempt books, row by row."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.budgets.settlement import Booking, Outcome, Reserve, settle
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, FailureKind, ModelCallError
from orchestrator.pricing.price import Price
from orchestrator.pricing.quote import Quote, Tier, assumed_quote

# 1,000 nano-dollars per input token, 4,000 per output token
PRICE = Price(input=Decimal(1), output=Decimal(4))
QUOTE = Quote(tiers=(Tier(0, PRICE),))
RESERVE = Reserve(amount=QUOTE.bound(1000, 100), quote=QUOTE, tokens=1100)
WINDOWED = Reserve(
    amount=RESERVE.amount,
    quote=Quote(tiers=QUOTE.tiers, context_window=128_000),
    tokens=1100,
)
ASSUMED = Reserve(amount=assumed_quote().bound(1000, 100), quote=assumed_quote(), tokens=1100)
FREE = Reserve(amount=Money.ZERO, quote=None, tokens=1100)
ZERO = Money.ZERO


def reply(usage: Usage | None) -> Completion:
    return Completion(text="yes", finish_reason="stop", usage=usage)


def error(kind: FailureKind, status: int | None = None) -> ModelCallError:
    return ModelCallError(kind, "no", status=status)


HELD = Booking(RESERVE.amount, ZERO, "estimated", "settled")
NOTHING = Booking(ZERO, ZERO, "known", "released")


@pytest.mark.parametrize(
    "outcome",
    [error("not_connected"), error("rate_limited", 429), error("rejected", 400)],
    ids=lambda outcome: outcome.kind,
)
def test_what_was_never_served_costs_nothing_for_sure(outcome: ModelCallError):
    assert settle(outcome, RESERVE) == NOTHING
    assert settle(outcome, FREE) == NOTHING
    assert settle(outcome, RESERVE, server_errors="bound") == NOTHING


def test_a_possible_usage_costs_its_price():
    usage = Usage(900, 50)

    assert settle(reply(usage), RESERVE) == Booking(
        Money(900_000 + 200_000), ZERO, "known", "settled", usage
    )


def test_a_usage_of_exactly_the_bound_overruns_nothing():
    usage = Usage(1000, 100)

    assert settle(reply(usage), RESERVE) == Booking(RESERVE.amount, ZERO, "known", "settled", usage)


def test_a_possible_usage_above_the_reserve_is_booked_whole():
    usage = Usage(1000, 200)

    assert settle(reply(usage), RESERVE) == Booking(
        RESERVE.amount, Money(400_000), "known", "settled", usage
    )


def test_the_providers_own_error_is_free_unless_the_policy_says_that_it_bills():
    outcome = error("server_error", 500)

    assert settle(outcome, RESERVE) == Booking(ZERO, ZERO, "estimated", "settled")
    assert settle(outcome, RESERVE, server_errors="bound") == HELD


@pytest.mark.parametrize(
    "outcome", [error("broken", 502), error("broken"), "timed_out", "cancelled"]
)
def test_what_may_have_been_billed_costs_its_bound(outcome: Outcome):
    assert settle(outcome, RESERVE) == HELD
    assert settle(outcome, RESERVE, server_errors="free") == HELD


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(0, 0),
        Usage(100, 0),
        Usage(0, 100),
        Usage(-100, 50),
        Usage(100, -50),
        Usage(10**9, 50),
        Usage(50, 10**9),
        Usage(100, 50, cached_input_tokens=200),
        Usage(100, 50, cached_input_tokens=-200),
        Usage(100, 50, cached_input_tokens=60, cache_write_tokens=60),
        Usage(100, 50, reasoning_tokens=60),
    ],
    ids=str,
)
@pytest.mark.parametrize("reserve", [RESERVE, WINDOWED], ids=["no window", "window"])
def test_a_usage_that_is_missing_or_impossible_costs_its_bound(
    usage: Usage | None, reserve: Reserve
):
    """Elsewhere negative usage, none at all, and a billion tokens are believed."""
    assert settle(reply(usage), reserve) == HELD


@pytest.mark.parametrize(
    ("usage", "possible"),
    [
        (Usage(128_000, 50), True),
        (Usage(128_001, 50), False),
        (Usage(50, 128_000), True),
        (Usage(50, 128_001), False),
    ],
)
def test_the_window_tells_what_is_possible_if_it_is_known(usage: Usage, *, possible: bool):
    booking = settle(reply(usage), WINDOWED)

    assert (booking.certainty == "known") is possible
    assert bool(booking.overrun) is possible
    assert booking.cost == RESERVE.amount


@pytest.mark.parametrize(
    ("usage", "possible"),
    [
        (Usage(4300, 100), True),
        (Usage(4301, 100), False),  # 4,401 tokens are more than four times 1,100
        (Usage(1, 1399), True),
        (Usage(1, 1400), False),  # 5,601,000 nano-dollars are more than four times 1,400,000
    ],
)
def test_four_times_the_bound_tells_if_no_window_is_known(usage: Usage, *, possible: bool):
    booking = settle(reply(usage), RESERVE)

    assert (booking.certainty == "known") is possible
    assert bool(booking.overrun) is possible


def test_an_assumed_price_makes_an_estimate():
    usage = Usage(10, 10)
    booking = settle(reply(usage), ASSUMED)

    assert booking.certainty == "estimated"
    assert booking.cost == assumed_quote().cost(usage)


@pytest.mark.parametrize(
    "outcome", [reply(Usage(10, 10)), reply(None), "timed_out", error("broken")], ids=str
)
def test_without_a_price_a_cost_is_unknown_and_no_silent_zero(outcome: Outcome):
    booking = settle(outcome, FREE)

    assert booking.certainty == "unknown"
    assert booking.cost == FREE.amount
    assert booking.end == "settled"


def test_without_a_price_believable_tokens_are_still_told():
    assert settle(reply(Usage(10, 10)), FREE).usage == Usage(10, 10)
    assert settle(reply(Usage(10**9, 10)), FREE).usage is None


@pytest.mark.parametrize(
    "reserve",
    [
        Reserve(amount=ZERO, quote=None, tokens=10**30),
        Reserve(amount=Money(10**18), quote=QUOTE, tokens=10**30),
        Reserve(amount=ZERO, quote=Quote(tiers=QUOTE.tiers, context_window=10**30), tokens=1),
    ],
    ids=["free", "no window", "window"],
)
@pytest.mark.parametrize("tokens", [10**16, 2**63, 10**29])
def test_what_no_ledger_can_hold_is_impossible_whatever_bounds_it(reserve: Reserve, tokens: int):
    booking = settle(reply(Usage(tokens, 1)), reserve)

    assert booking.usage is None
    assert (booking.cost, booking.overrun) == (reserve.amount, ZERO)


def test_a_bill_above_a_billion_dollars_is_impossible():
    price = Price(input=Decimal(10**6), output=Decimal(1))
    dear = Quote(tiers=(Tier(0, price),), context_window=10**12)
    reserve = Reserve(amount=dear.bound(10**6, 1), quote=dear, tokens=10**6)

    assert settle(reply(Usage(10**8, 1)), reserve).overrun > ZERO
    assert settle(reply(Usage(10**9, 1)), reserve) == Booking(
        reserve.amount, ZERO, "estimated", "settled"
    )


OUTCOMES = st.one_of(
    st.builds(
        reply,
        st.none() | st.builds(Usage, *(st.integers(-10, 10**6) | st.just(10**9) for _ in range(5))),
    ),
    st.sampled_from(["not_connected", "rate_limited", "rejected", "server_error", "broken"]).map(
        error
    ),
    st.sampled_from(["timed_out", "cancelled"]),
)


@given(
    OUTCOMES,
    st.sampled_from([RESERVE, WINDOWED, ASSUMED, FREE]),
    st.sampled_from(["free", "bound"]),
)
def test_no_end_books_more_than_the_reserve_and_none_loses_money(
    outcome: Outcome, reserve: Reserve, server_errors: str
):
    booking = settle(outcome, reserve, server_errors=server_errors)  # type: ignore[arg-type]  # a sample

    assert ZERO <= booking.cost <= reserve.amount
    assert booking.overrun >= ZERO
    if booking.overrun:
        assert booking.cost == reserve.amount
        assert booking.usage is not None
    if booking.end == "released":
        assert (booking.cost, booking.overrun) == (ZERO, ZERO)
