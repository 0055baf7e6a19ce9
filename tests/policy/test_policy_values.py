from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.policy import amounts, check_values, values
from orchestrator.routing.settings import FormCheck


@given(st.decimals(0, 99_999, allow_nan=False, allow_infinity=False, places=12))
def test_a_price_is_exactly_the_number_that_was_written(number):
    text = f"{number:f}"
    price = amounts.read_price(text)
    assert f"{price:f}" == text


@given(st.integers(1, 10**9 * 10**9))
def test_an_amount_of_money_is_exact_to_the_nano_dollar(nano):
    assert amounts.read_money(f"{Decimal(nano).scaleb(-9):f} USD") == amounts.Amount(
        Money(nano).usd
    )


def test_a_tenth_stays_a_tenth(load):
    policy = load("models: {m: {model: openai/foo, price: {input: 0.1, output: 0.7}}}").everyone
    price = policy.models["m"].price
    assert (price.input, price.output) == (Decimal("0.1"), Decimal("0.7"))
    assert price.input * 3 == Decimal("0.3")


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("40", 40), ("500k", 500_000), ("2M", 2_000_000), ("1.5k", 1500)],
)
def test_counts(text, count):
    assert values.read_count(text) == count


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200)])
def test_durations(text, seconds):
    assert values.read_duration(text) == seconds


@pytest.mark.parametrize(
    ("read", "text", "advice"),
    [
        (amounts.read_money, "0.25", "write `0.25 USD`"),
        (amounts.read_money, "$0.25", "write `0.25 USD`"),
        (amounts.read_money, "0.25 eur", "write `EUR`"),
        (amounts.read_usd, "0.25 EUR", "write `0.25 USD`"),
        (amounts.read_money, "1,000 USD", "as in `0.25 USD`"),
        (amounts.read_money, "-1 USD", "as in `0.25 USD`"),
        (amounts.read_money, "0.0000000001 USD", "finer than one nano-dollar"),
        (amounts.read_money, "9999999999 USD", "at most 1000000000 USD"),
        (amounts.read_money, "9" * 60_000 + " USD", "at most 1000000000 USD"),
        (amounts.read_positive_money, "0 USD", "above 0"),
        (amounts.read_price, "0.1 USD", "as in `0.10`"),
        (amounts.read_price, "-1", "as in `0.10`"),
        (amounts.read_price, "1e-7", "as in `0.10`"),
        (amounts.read_price, "nan", "as in `0.10`"),
        (values.read_count, "0", "from 1"),
        (values.read_count, "1.5", "whole number"),
        (values.read_count, "1_000", "`500k`"),
        (values.read_count, "010", "`500k`"),
        (values.read_count, "1:30", "`500k`"),
        (values.read_count, "9" * 5_000, "at most"),
        (values.read_duration, "10", "as in `10m`"),
        (values.read_duration, "0s", "above 0"),
        (values.read_duration, "9999999d", "at most `3650d`"),
        (values.read_duration, "9" * 5_000 + "d", "write"),
        (values.read_probability, "90", "as in `0.9`"),
        (values.read_probability, "90%", "as in `0.9`"),
        (values.read_probability, "1.01", "from 0 to 1"),
        (values.read_probability, "nan", "from 0 to 1"),
        (values.read_model, "gpt-5-nano", "as in `openai/gpt-5-nano`"),
        (values.read_address, "localhost:8000", "http://"),
        (values.read_address, "http://[::1", "http://"),
        (values.read_address, "http://a:99999/v1", "http://"),
        (values.read_zone, "Europe/Berln", "did you mean `Europe/Berlin`"),
        (values.read_zone, "../../etc/passwd", "IANA time zone"),
        (values.read_zone, "Europe", "IANA time zone"),
        (values.read_pattern, "(", "correct it"),
        (values.read_pattern, "", "write for example"),
        (values.read_holder, "a/b", "write `-`"),
        (values.read_name, " a", "no name"),
        (values.read_name, "a" * 101, "no name"),
        (values.read_text, "a\nb", "no line of text"),
    ],
)
def test_a_value_of_the_wrong_form_says_what_to_write(read, text, advice):
    with pytest.raises(ValueError, match=r"\w") as caught:
        read(text)
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("read", "secret"),
    [
        (values.read_variable, "sk-ant-0123456789"),
        (values.read_address, "https://user:hunter2@example.org/v1"),
    ],
)
def test_a_secret_that_stands_in_the_wrong_place_is_not_repeated(read, secret):
    with pytest.raises(ValueError, match=r"environment|api_key_env") as caught:
        read(secret)
    assert not any(part in str(caught.value) for part in ("0123", "hunter2"))


def test_checks_are_names_or_a_pattern():
    assert check_values.read_check("schema") == "schema"
    assert check_values.read_check({"form": "^ANSWER: "}) == FormCheck(pattern="^ANSWER: ")


@pytest.mark.parametrize(
    ("check", "advice"),
    [
        ("form", "`form` lacks `pattern`; write `form: '^ANSWER: '`"),
        ({"form": None}, "`form` needs its settings"),
        ({"form": "("}, "no regular expression"),
        ({"schema": "x"}, "takes no setting"),
        ({"form": "a", "schema": None}, "is no check"),
        (["schema"], "is no check"),
        (None, "is no check"),
        ("shcema", "did you mean `schema`?"),
    ],
)
def test_a_check_of_another_form_says_what_to_write(check, advice):
    with pytest.raises(ValueError, match=r"\w") as caught:
        check_values.read_check(check)
    assert advice in str(caught.value)
