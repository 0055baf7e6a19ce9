"""Two replies agree if they mean the same, in whatever order they say it."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.routing.checks.agreement import compare, result_of

# Few values, so that equal ones are frequent, and small ones, so that drawing them is cheap.
SCALARS = st.sampled_from([None, True, 0, 1, 5, -2.5, 1e300, "", "a", "A b", "5", ",]", "é"])
KEYS = st.sampled_from(["a", "b", "c d", ""])
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
CALLS = st.lists(st.tuples(st.sampled_from(["find", "send"]), OBJECTS), min_size=1, max_size=3)


def shuffled(value, draw):
    match value:
        case dict():
            pairs = [(key, shuffled(below, draw)) for key, below in value.items()]
            draw.shuffle(pairs)
            return dict(pairs)
        case list():
            items = [shuffled(below, draw) for below in value]
            draw.shuffle(items)
            return items
        case _:
            return value


def said(text):
    return Completion(text=text, finish_reason="stop")


def calling(calls):
    made = tuple(ToolCall(str(n), name, json.dumps(given)) for n, (name, given) in enumerate(calls))
    return Completion(text="", finish_reason="tool_calls", tool_calls=made)


@settings(max_examples=60, deadline=None)
@given(OBJECTS | st.lists(VALUES, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_items_does_not_count(value, draw):
    one, two = said(json.dumps(value)), said(json.dumps(shuffled(value, draw), indent=2))

    assert compare(one, two).passed is True


@settings(max_examples=60, deadline=None)
@given(CALLS, st.randoms(use_true_random=False))
def test_the_order_of_calls_and_arguments_does_not_count(calls, draw):
    others = [(name, shuffled(given, draw)) for name, given in calls]
    draw.shuffle(others)

    assert compare(calling(calls), calling(others)).passed is True


@settings(max_examples=60, deadline=None)
@given(CALLS, CALLS)
def test_agreement_is_mutual_and_its_score_a_share(one, two):
    there, back = compare(calling(one), calling(two)), compare(calling(two), calling(one))

    assert (there.passed, there.score) == (back.passed, back.score)
    assert 0 <= there.score <= 1


@settings(max_examples=60, deadline=None)
@given(CALLS)
def test_a_call_more_is_another_result(calls):
    more = [*calls, ("delete", {"all": True})]

    result = compare(calling(calls), calling(more))

    assert result.passed is False
    assert result.score < 1


@settings(max_examples=60, deadline=None)
@given(OBJECTS, KEYS)
def test_another_value_is_another_result(value, key):
    changed = {**value, key: [value.get(key), "changed"]}

    assert compare(said(json.dumps(value)), said(json.dumps(changed))).passed is False


@pytest.mark.parametrize(
    ("one", "two", "passed"),
    [
        ('{"n": 5}', '{"n": 5.0}', True),
        ('{"n": 5}', '{"n": "5"}', False),
        ('{"a": true}', '{"a": 1}', False),
        ('{"a": "x < y"}', '{"a": "x > y"}', False),
        ('{"a": "Two  words"}', '{"a": "two words"}', True),
        ('{"a": ["b", "c"]}', '{"a": ["b,c"]}', False),
        ("[[1], [2, 3]]", "[[1, 2], [3]]", False),
        ("```json\n[1, 2]\n```", "[2,1]", True),
        ("So 3 * 4 = 12", "It is 12.", True),
        ("So 3 * 4 = 12", "It is 13.", False),
        ("Positive", "positive.", True),
        ("C", "C++", False),
        ("yes", "no", False),
        ("yes", '{"a": "yes"}', False),
    ],
)
def test_results_are_compared_by_what_they_mean(one, two, passed):
    assert compare(said(one), said(two)).passed is passed


def test_long_prose_without_a_result_cannot_be_compared():
    prose = "It depends on many things, of which none can be named here without a long talk."

    assert result_of(said(prose)) is None
    assert compare(said(prose), said(prose)).passed is None


def test_deep_data_is_no_crash():
    deep = "[" * 100_000 + "]" * 100_000
    assert compare(said(deep), said(deep)).passed in {None, True}


def test_shuffling_shuffles():
    assert shuffled(list(range(9)), random.Random(1)) != list(range(9))
