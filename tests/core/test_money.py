"""Money is exact, whatever an agent does to its own decimals."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Money
from orchestrator.pricing.resources import ResourcePrice

NANO = st.integers(-(10**18), 10**18)


@given(nano=NANO, precision=st.integers(1, 30))
def test_no_precision_of_an_agents_own_changes_an_amount(nano, precision):
    money = Money(nano)
    plain = f"{'-' * (nano < 0)}{abs(nano) // 10**9}.{abs(nano) % 10**9:09}"
    with localcontext() as context:
        context.prec = precision
        assert Money.from_usd(plain) == money
        assert money.to_json() == plain
        assert Money.from_usd(str(money).replace("$", "")) == money
        assert Money.from_usd(money.usd) == money


@given(amount=st.decimals(0, 10**9, places=15), precision=st.integers(1, 30))
def test_rounding_is_by_less_than_a_nano_dollar_and_never_the_wrong_way(amount, precision):
    exact = amount.as_integer_ratio()
    with localcontext() as context:
        context.prec = precision
        up, down = Money.from_usd_rounded_up(amount), Money.from_usd_rounded_down(amount)
        price = ResourcePrice(amount).cost(Decimal(7))
    nano, rest = divmod(exact[0] * 10**9, exact[1])
    assert (down.nano, up.nano) == (nano, nano + bool(rest))
    assert price.nano == -(-7 * exact[0] * 10**9 // exact[1])


@pytest.mark.parametrize("amount", ["0.0000000001", f"0.000000001{'0' * 200}1"])
def test_what_is_finer_than_a_nano_dollar_is_refused(amount):
    with pytest.raises(ValueError, match="finer than one nano-dollar"):
        Money.from_usd(amount)
