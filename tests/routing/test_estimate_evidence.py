from __future__ import annotations

from math import isclose, log

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.estimate.evidence import CheckRecord, posterior


def test_a_new_check_is_taken_to_be_right_eight_times_in_ten():
    # Prior odds 1, likelihood ratio .8 / .2.
    assert isclose(posterior(0.5, [("form", True)], {}), 0.8)
    assert isclose(posterior(0.5, [("form", False)], {}), 0.2)


def test_a_check_with_nothing_to_say_changes_nothing():
    assert isclose(posterior(0.37, [("arithmetic", None)], {}), 0.37)


def test_a_check_that_passes_everything_loses_its_voice():
    record = CheckRecord()
    for _ in range(1_000):
        record.observe(passed=True, good=True)
        record.observe(passed=True, good=False)
    assert abs(record.log_ratio(passed=True)) < 0.01


@given(st.floats(0.01, 0.99), st.integers(0, 10_000))
def test_no_check_moves_the_odds_by_more_than_the_cap(prior, seen):
    record = CheckRecord(passed_good=8.0 + seen, failed_bad=8.0 + seen)
    after = posterior(prior, [("tests", True)], {"tests": record})
    moved = log(after / (1 - after)) - log(prior / (1 - prior))
    assert 0 <= moved <= 3 + 1e-6


def test_of_a_group_only_the_strongest_voice_counts():
    results = [("schema", True), ("form", True)]
    together = posterior(0.5, results, {}, {"schema": "shape", "form": "shape"})
    assert isclose(together, posterior(0.5, [("form", True)], {}))
    assert posterior(0.5, results, {}) > together
