"""A budget in another currency is worth what it was when its window began."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.budgets.demands import demands
from orchestrator.budgets.rules import BudgetRule, ForeignBudget, Threshold
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.pricing.currency import Foreign, Rates

SCOPE = Scope(org="acme", team="research", agent="a", task_id="t", tenant="research", user="u")
START = date(2026, 1, 1)
EUR = Rates.of("EUR", {START: Decimal("1.08"), date(2026, 7, 15): Decimal("1.12")})


def budget(number, rates=EUR, **rule):
    foreign = ForeignBudget(Foreign(Decimal(number), rates), rate_of=rule.pop("rate_of", None))
    return BudgetRule.stated(foreign, **{"scope": "team", "window": "month"} | rule)


def limit(rule, at):
    (demand,) = demands([rule], SCOPE, at, finish=False)
    return demand.limit


def test_a_new_rate_changes_nothing_in_a_window_that_runs():
    rule = budget(50)
    assert limit(rule, datetime(2026, 7, 14, tzinfo=UTC)) == Money.from_usd(54)
    assert limit(rule, datetime(2026, 7, 31, 23, tzinfo=UTC)) == Money.from_usd(54)
    assert limit(rule, datetime(2026, 8, 1, tzinfo=UTC)) == Money.from_usd(56)


def test_a_window_begins_by_the_clocks_of_its_own_time_zone():
    rule = budget(50, window="day", timezone="Europe/Berlin")
    assert limit(rule, datetime(2026, 7, 14, 21, 59, tzinfo=UTC)) == Money.from_usd(54)
    assert limit(rule, datetime(2026, 7, 14, 22, tzinfo=UTC)) == Money.from_usd(56)


def test_the_rate_of_a_stated_day_holds_for_all_windows():
    for window in ("hour", "total"):
        rule = budget(50, window=window, rate_of=date(2026, 3, 1))
        assert limit(rule, datetime(2027, 1, 1, tzinfo=UTC)) == Money.from_usd(54)


def test_a_budget_that_never_begins_has_to_state_a_day():
    with pytest.raises(ValueError, match="write rate_of"):
        budget(50, window="total")


def test_a_share_at_which_it_halts_is_of_what_it_is_worth():
    rule = budget(50, at=(Threshold(9000, "halt"),))
    assert limit(rule, datetime(2026, 8, 1, tzinfo=UTC)) == Money.from_usd("50.40")


@given(
    dated=st.dictionaries(
        st.dates(START, date(2026, 12, 31)),
        st.decimals("0.000001", 1000, places=6),
        min_size=1,
        max_size=6,
    ),
    number=st.decimals("0.000000001", 10**6, places=9),
    window=st.sampled_from(["hour", "day", "week", "month"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]),
    minutes=st.lists(st.integers(0, 60 * 24 * 365), min_size=2, max_size=6),
)
def test_every_window_has_one_limit_whatever_moment_asks(dated, number, window, zone, minutes):
    """What keeps spent and held within it: it is a function of the account alone."""
    rule = budget(number, Rates.of("GBP", dated), window=window, timezone=zone)
    limits = {}
    for minute in minutes:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        for moment in (at, at + timedelta(minutes=7)):
            (demand,) = demands([rule], SCOPE, moment, finish=False)
            assert limits.setdefault(demand.account.key, demand.limit) == demand.limit
            assert any(
                demand.limit == Money.from_usd_rounded_down(number * rate)
                for rate in dated.values()
            )
