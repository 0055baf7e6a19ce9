# ruff: noqa: RUF001 - replies use signs that look alike
"""The arithmetic check recomputes what a reply states, and nothing else."""

import csv
import gzip
import os
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.arithmetic import check_arithmetic
from orchestrator.routing.checks.form import check_form
from orchestrator.routing.checks.sums import find_sums
from orchestrator.routing.settings import FormCheck

RIGHT = r"""
12 * 3 = 36
$1,200 + $300 = $1500
50% of 80 = 40
20 percent of 50 = 10
1/2 of the remaining 80 apples = 40
0.3 of 1000 = 300
4 boxes * 6 apples = 24 apples
There are 16 - 3 - 4 = 9 duck eggs a day
8 hours/day * 5 days/week = 40 hours
<<48/2=24>>
8 x $5 = $<<8*5=40>>40
2+3 = 5 + 1 = 6
65 / 20 = 3.25 ≈ 3
3 \times 4 = 12
\( \frac{10}{3} \approx 3.33 \)
\frac{3}{4} \div 2 = 0.375
5 \text{ apples} \times 3 \text{ apples/box} = 15 \text{ apples}
1{,}200 \times 2 = 2400
$3 + 4 = 7$
\boxed{3 + 4 = 7}
10/3 = 3.3
10 / 3 = 3.34
8 / 3 = 2.6666666666666665
0.1667 * 60 = 10
6 / 1/2 = 12
(3 + 4) * 2 = 14
3(4+5) = 27
50 - (20 + 10) = 20
**12 + 3 = 15**
12 * 3 = **36**
*12 + 3 = 15*
`12 * 3 == 36`
3**2 = 9
2^10 = 1024
3^2 + 4² = 25
80 / 120 = 2/3 of an hour
$100 - 20% = $80
30/60 * 100 = 50%
1/3 = 33%
12 times 3 equals 36
12 divided by 3 is equal to 4
5 - 8 = -3
-3 + 5 = 2
- 3 + 5 = 8
1. 3 + 5 = 8
7 + 3 = 10 (which is 2 * 5)
10 – 3 = 7 - so seven
.5 * 4 = 2
7 × 8 ÷ 4 − 1 = 13
""".strip().splitlines()

WRONG = r"""
12 * 3 = 35
$1,200 + $300 = $1600
50% of 80 = 45
4 boxes * 6 apples = 25 apples
<<48/2=25>>
1.25 * 3 = 3.74
2+3 = 6 + 1 = 7
\frac{3}{4} = 0.9
3 \times 4 = 13
5 hours * $12 = $65
10/3 = 3.5
12 times 3 equals 38
(3 + 4) * 2 = 15
3/4 = 0
100 + 200 = 310, so
2^3 = 6
-3 + 5 = -2
""".strip().splitlines()

NOT_UNDERSTOOD = r"""
no sums at all
x = 5
2x + 3 = 11
9A - 21 = 339
x + 3 = 11
3 + 4 = 5x
3 + 4 = y
5m + 3 = 18
f(3) + 2 = 8
5! * 2 = 240
|3-5| = 2
17 % 5 = 2
H2 + 2 = 5
half of 20 + 5 = 15
twice as many as 4 + 2 = 12
4 boxes of 6 apples + 2 = 26
pages 3-5 = 3 pages
2:30 + 1:15 = 3:45
1 hour 30 minutes + 45 minutes = 2 hours 15 minutes
2 * 60 minutes = 2 hours
3 * 25 cents = $0.75
5 dozen * 2 = 120
3,5 + 2 = 5,5
1.2.3 + 1 = 2.2.3
a >= 3 + 4
total += 3
0.333... * 3 = 1
1/0 = 3
3 + 4
= 7 and 5
10 ** 10 ** 10 = 1
9^9^9^9 = 2
""".strip()


def verdict(text):
    return check_arithmetic(Completion(text=text, finish_reason="stop"))


@pytest.mark.parametrize("text", RIGHT)
def test_right_sums_pass(text):
    assert verdict(text).passed is True


@pytest.mark.parametrize("text", WRONG)
def test_wrong_sums_fail_and_say_why(text):
    result = verdict(text)

    assert result.passed is False
    assert "but it is" in result.detail


@pytest.mark.parametrize("text", [t for t in NOT_UNDERSTOOD.splitlines() if t != "= 7 and 5"])
def test_what_is_not_understood_is_not_judged(text):
    assert verdict(text).passed is None


def test_a_line_may_begin_with_the_equals_sign():
    assert verdict("12 * 3\n= 36").passed is True
    assert verdict("12 * 3\n= 37").passed is False
    assert verdict("12 * 3\n37").passed is None


def test_a_rounded_result_is_carried_on_at_its_exact_value():
    assert verdict("10/3 = 3.33. Then 3.33 * 7 = 23.33").passed is True
    assert verdict("3.33 * 7 = 23.33").passed is False


def test_the_score_is_the_share_of_right_sums():
    result = verdict("1 + 1 = 2, 2 + 2 = 4, 3 + 3 = 7, 4 + 4 = 8")

    assert result.passed is False
    assert result.score == pytest.approx(0.75)
    assert result.detail == "3 + 3 = 7, but it is 6"


expressions = st.recursive(
    st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from([" + ", " - ", " * ", "+", "*"]), inner).map("".join)
        | inner.map(lambda text: f"({text})")
    ),
    max_leaves=6,
)


def exact(text):
    """The value by another way: Python's own parser over exact fractions."""
    quoted = "".join(f"Fraction('{part}')" if part[0].isdigit() else part for part in _split(text))
    return eval(quoted, {"Fraction": Fraction})  # generated above, never a reply


def _split(text):
    part = ""
    for sign in text:
        if part and (sign.isdigit() or sign == ".") != (part[-1].isdigit() or part[-1] == "."):
            yield part
            part = ""
        part += sign
    yield part


@given(expressions, st.integers(-50, 50))
def test_any_expression_agrees_with_its_value_and_with_nothing_else(expression, offset):
    stated = exact(expression) + offset
    text = f"{expression} = {float(stated):.8f}"
    found = list(find_sums(text))

    if any(sign in expression for sign in "+-*"):
        assert [sum_.agrees for sum_ in found] == [offset == 0]
        assert found[0].result == exact(expression)
    else:
        assert found == []


SNIPPETS = st.sampled_from(
    [
        *("1", "12.5", "1,000", "+", "-", "*", "/", "=", "(", ")", "%", "$", "^", "\n", " ", "."),
        *("x", "apples", "of", "hours", "\\frac{", "}", "{", "<<", ">>", "**", "≈", "²", "times"),
    ]
)


@given(st.lists(SNIPPETS, max_size=60).map("".join) | st.text(max_size=200))
def test_no_text_makes_it_fail_and_every_finding_is_consistent(text):
    result = verdict(text)

    assert (result.passed is None) == (result.score is None)
    if result.score is not None:
        assert 0 <= result.score <= 1
        assert result.passed is (result.score == 1)


@pytest.mark.parametrize(
    "unit",
    [
        *("=", "(", ")", "1", "1,", "1+", "1=", "a ", "<<", "<<1+1=2>>", "\\frac{1}{2}", "*"),
        *("2^", "50% of ", "\n", " ", "-", "3 a b c d e f g + ", "(1+(2*3)=7 ", "1+1=2 ", "(a "),
    ],
)
def test_work_grows_in_step_with_the_text(unit):
    def calls(length):
        count = 0

        def profile(_frame, _event, _argument):
            nonlocal count
            count += 1

        text = unit * (length // len(unit))
        sys.setprofile(profile)
        try:
            for _ in find_sums(text):
                pass
        finally:
            sys.setprofile(None)
        return count

    assert calls(8_000) < 12 * calls(800) + 1_000


BESIDE = Path(__file__).parents[3] / "shared" / "data"
GSM8K = Path(os.environ.get("ORCHESTRATOR_RECORDED", BESIDE)) / "routellm_gsm8k.csv.gz"


def auroc(right, wrong):
    wins = sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
    return wins / (len(right) * len(wrong))


@pytest.mark.recorded
@pytest.mark.skipif(not GSM8K.exists(), reason="the recorded replies are absent")
def test_on_recorded_replies_it_tells_right_from_wrong():
    form = FormCheck(pattern=r"^####\s*[-$]?\d[\d,.]*\s*$")
    rows = []
    with gzip.open(GSM8K, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if "Mixtral" in row["model"]:
                reply = Completion(text=row["response"], finish_reason="stop")
                arithmetic = check_arithmetic(reply)
                has_form = check_form(reply, form).passed
                is_right = float(row["score"]) >= 0.5
                rows.append((is_right, arithmetic.passed, has_form))

    alarms = [is_right for is_right, passed, _ in rows if passed is False]
    wrong = sum(not is_right for is_right, _, _ in rows)
    value = {True: 1.0, None: 0.5, False: 0.0}
    scores = [(is_right, value[passed] + has_form) for is_right, passed, has_form in rows]
    together = auroc(
        [score for is_right, score in scores if is_right],
        [score for is_right, score in scores if not is_right],
    )

    # Measured: 53 of 57 alarms true, 53 of 279 wrong replies found, AUROC 0.68 with the form.
    assert alarms.count(False) / len(alarms) >= 0.88
    assert alarms.count(False) / wrong >= 0.17
    assert together >= 0.66
    assert sum(passed is None for _, passed, _ in rows) / len(rows) <= 0.06
