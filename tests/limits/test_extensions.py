"""What a resume may raise."""

import pytest

from orchestrator.core.errors import ResumeError
from orchestrator.limits.settings import LimitSettings, extended, parse_extensions

SETTINGS = LimitSettings(timeout_s=600, model_calls=40, tokens=1000)


def test_limits_grow_by_what_is_given():
    given = {"timeout": "5m", "model_calls": 20}

    assert extended(SETTINGS, given) == LimitSettings(timeout_s=900, model_calls=60, tokens=1000)
    assert extended(SETTINGS, parse_extensions(given)) == extended(SETTINGS, given)


def test_a_counted_limit_stays_a_whole_number():
    assert type(extended(SETTINGS, {"model_calls": 20.0}).model_calls) is int


def test_no_limit_stays_no_limit():
    extensions = {"steps": 5, "tool_calls": 5, "repeats": 5}

    assert extended(LimitSettings(), {**extensions, "timeout": 5}) == LimitSettings()


def test_nothing_given_changes_nothing():
    assert extended(SETTINGS, {}) == SETTINGS


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        ResumeError,
        match="no 'calls'; it takes timeout, model_calls, tool_calls, tokens, steps, repeats",
    ):
        extended(SETTINGS, {"calls": 5})


@pytest.mark.parametrize("value", [0, -1, 1.5, "20", True, None, float("nan"), float("inf")])
def test_a_count_that_is_none_says_what_to_write(value: object):
    with pytest.raises(ResumeError, match=r"extend\['model_calls'\] is .*; write a whole number"):
        parse_extensions({"model_calls": value})


@pytest.mark.parametrize("value", ["5 minutes", 0, None, True])
def test_a_timeout_that_is_none_says_what_to_write(value: object):
    with pytest.raises(ResumeError, match=r"extend\['timeout'\]: .* write .*'10m'"):
        parse_extensions({"timeout": value})
