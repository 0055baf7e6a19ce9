"""Scorers tell right from wrong replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.scorers.contains import score_contains
from orchestrator.bench.scorers.exact import score_exact
from orchestrator.bench.scorers.number import score_number
from orchestrator.bench.scorers.table import SCORERS, score_auto


@pytest.mark.parametrize(
    ("reply", "answer", "score"),
    [
        ("6 * 7 = 42", "42", 1),
        ("6 * 7 = 42\n#### 42", "42", 1),
        ("#### 42\nThat is all, in 3 steps.", "42", 1),
        ("ANSWER: $1,200.00 in total", "1200", 1),
        ("**Answer:** 42 apples out of 50", "42", 1),
        ("Final answer: **0.5**", "1/2", 1),
        ("It is 42.", "42", 1),
        ("It is −3", "-3", 1),  # noqa: RUF001 - a reply's minus sign
        ("#### 41\n#### 42", "42", 1),
        ("It is 42, not 43", "42", 0),
        ("#### 43", "42", 0),
        ("ANSWER: none of the 42", "43", 0),
        ("ANSWER: unknown", "42", 0),
        ("forty-two", "42", 0),
        ("", "42", 0),
        ("v42", "42", 0),
        ("3 - 1 = 2", "2", 1),
    ],
)
def test_number(reply, answer, score):
    assert score_number(reply, answer) == score


@given(st.integers(-(10**9), 10**9))
def test_a_number_equals_itself_however_it_is_written(value):
    assert score_number(f"so it is {value:,}", str(value)) == 1
    assert score_number(f"ANSWER: {value}.00", str(value)) == 1
    assert score_number(f"ANSWER: {value + 1}", str(value)) == 0


@pytest.mark.parametrize(
    ("reply", "answer", "score"),
    [
        ("Tuesday", "Tuesday", 1),
        ("Counting on.\nANSWER: tuesday.", "Tuesday", 1),
        ("**ANSWER:** 21  November", "21 November", 1),
        ("ANSWER:\nTuesday", "Tuesday", 1),
        ("It is Tuesday", "Tuesday", 0),
        ("ANSWER: Tuesday or Monday", "Tuesday", 0),
        ("", "Tuesday", 0),
    ],
)
def test_exact(reply, answer, score):
    assert score_exact(reply, answer) == score


@pytest.mark.parametrize(
    ("reply", "answer", "score"),
    [
        ("It is on tuesday, I think", "Tuesday", 1),
        ("on 21\nNovember", "21 November", 1),
        ("Tuesdays", "Tuesday", 0),
        ("142", "42", 0),
        ("a+b", "a+b", 1),
    ],
)
def test_contains(reply, answer, score):
    assert score_contains(reply, answer) == score


def test_auto_takes_numbers_as_numbers_and_the_rest_exactly():
    assert score_auto("ANSWER: 84.4 euros", "84.40") == 1
    assert score_auto("ANSWER: 18:25", "18:25") == 1
    assert score_auto("ANSWER: 18:30", "18:25") == 0


@given(st.sampled_from(sorted(SCORERS)), st.text(max_size=80), st.text(min_size=1, max_size=20))
def test_any_reply_gets_a_score_between_0_and_1(name, reply, answer):
    assert 0 <= SCORERS[name](reply, answer) <= 1
