from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.estimate.features import compare, read
from orchestrator.routing.signals.agreement import AGREEMENT
from orchestrator.routing.signals.hashing import WIDTH, ending, hashed
from orchestrator.routing.signals.structure import STRUCTURE, parse, structure_signals
from orchestrator.routing.signals.text import PROMPT, REPLY, prompt_signals, reply_signals
from orchestrator.routing.signals.working import WORKING, last_number, working

SAME_CALLS = [
    '[f(x=1, y="New York"), g(z=[1, 2])]',
    '[{"g": "{\\"z\\": [1, 2.0]}"}, {"f": {"y": "new york", "x": "1"}}]',
    '```json\n[{"name": "g", "arguments": {"z": [1, 2]}}, {"f": {"x": 1.0, "y": "New York"}}]\n```',
    "g(z=(1, 2)), f(y='New-York', x=1)",
]


@pytest.mark.parametrize("one", SAME_CALLS)
@pytest.mark.parametrize("two", SAME_CALLS)
def test_the_same_calls_agree_in_any_spelling_and_order(one, two):
    assert parse(one) is not None
    assert parse(one) == parse(two)


@pytest.mark.parametrize("other", ["[f(x=2, y='New York'), g(z=[1, 2])]", "[f(x=1, y='New York')]"])
def test_other_calls_do_not(other):
    assert parse(SAME_CALLS[0]) != parse(other)


@pytest.mark.parametrize(
    "prose", ["", "I cannot call anything (sorry).", "See f(x) = 2x + 1.", "["]
)
def test_prose_is_no_structure(prose):
    assert parse(prose) is None


def _agreement(one, two):
    found = compare(read("", one), read("", two))
    return dict(zip(AGREEMENT, found, strict=True))


def test_prose_agrees_by_its_result():
    assert _agreement("2 * 3 = 6, so 6.", "The total is 6")["same"] == 1
    assert _agreement("2 * 3 = 6, so 6.", "The total is 7")["same"] == 0
    assert _agreement("Paris.", "paris")["same"] == 1
    assert _agreement("Paris.", "Rome")["same"] == 0
    assert _agreement("[f(x=1)]", "I cannot.")["one_structured"] == 1


def _working(prompt, reply):
    return dict(zip(WORKING, working(prompt, reply), strict=True))


def test_working_shows_whether_the_result_follows():
    prompt = "A box holds 4 apples. How many are in 6 boxes, and how many are left of 30?"
    good = _working(prompt, "4 * 6 = 24 apples.\n30 - 24 = 6\nThe result is 6")
    assert good["sums_wrong"] == 0
    assert good["result_is_last_sum"] == 1
    assert good["numbers_unused"] == 0
    bad = _working(prompt, "4 * 6 = 26 apples.\nThe result is 7.5")
    assert bad["any_sum_wrong"] == 1
    assert bad["result_is_some_sum"] == 0
    assert bad["result_not_whole"] == 1
    assert bad["numbers_unused"] == pytest.approx(1 / 3)


def test_last_number_keeps_its_sign():
    assert last_number("from 3 to -1,200.5") == -1200.5
    assert last_number("none") is None


def test_arguments_that_the_prompt_does_not_contain_are_seen():
    found = structure_signals("Weather in Rome", parse("[weather(city='Rome', unit='kelvin')]"))
    assert dict(zip(STRUCTURE, found, strict=True))["arguments_ungrounded"] == 0.5


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_can_be_read(prompt, reply):
    assert len(prompt_signals(prompt)) == len(PROMPT)
    found = read(prompt, reply)
    assert len(found.signals) == len(REPLY) + len(WORKING) + len(STRUCTURE)
    assert len(reply_signals(prompt, reply)) == len(REPLY)
    assert len(compare(found, found)) == len(AGREEMENT)


@given(st.text(max_size=300))
def test_hashed_words_have_unit_length(text):
    found = hashed(text)
    assert all(0 <= bucket < WIDTH for bucket in found)
    if found:
        assert sum(value**2 for value in found.values()) == pytest.approx(1)


def test_ending_keeps_the_form_only():
    assert ending("so\n#### 1,200") == ending("thus\n#### 7\n") == "#### 9"
    assert ending("the sum is <<3*4") != ending("#### 12")
