from __future__ import annotations

from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.estimate.counts import Estimate, Ladder, gain, tiers

PATH = ("acme", "extract", "dates")


def test_without_outcomes_the_tier_is_all_there_is():
    ladder = Ladder(root=tiers([("a", 1.0), ("b", 4.0), ("c", 20.0)], (0.6, 0.7, 0.8)))
    assert [ladder.estimate(PATH, name).mean for name in "abc"] == [0.6, 0.7, 0.8]
    assert ladder.estimate(PATH, "a").weight == 0
    assert ladder.estimate(PATH, "new").mean == 0.5


def test_each_scope_is_shrunk_to_the_one_above():
    ladder = Ladder(root={"a": 0.5}, gamma=1.0)
    for _ in range(10):
        ladder.observe(("acme", "extract", "other"), "a", 1.0)
    # At all, tenant and class ten of ten with kappa 10: .75, .875, .9375; the step has none.
    assert isclose(ladder.estimate(("acme",), "a").mean, 0.875)
    assert isclose(ladder.estimate(PATH, "a").mean, 0.9375)
    assert isclose(ladder.estimate(("else",), "a").mean, 0.75)


@given(st.lists(st.floats(0, 1), max_size=60))
def test_means_stay_within_the_outcomes_and_bounds_below_the_means(outcomes):
    ladder = Ladder(root={"a": 0.5})
    for outcome in outcomes:
        ladder.observe(PATH, "a", outcome)
    estimate = ladder.estimate(PATH, "a")
    assert 0 <= estimate.mean <= 1
    assert estimate.lower() <= estimate.mean + 1e-12


def test_old_outcomes_fade():
    ladder = Ladder(gamma=0.99)
    for outcome in [1.0] * 500 + [0.0] * 500:
        ladder.observe(PATH, "a", outcome)
    assert ladder.estimate(PATH, "a").mean < 0.02


def test_a_gain_may_be_negative():
    ladder = Ladder(guess=0.0)
    for _ in range(100):
        ladder.observe(PATH, gain("large", "small"), -1.0)
    assert ladder.estimate(PATH, gain("large", "small")).mean < -0.9


def test_more_outcomes_raise_the_lower_bound():
    assert Estimate(0.9, 10).lower() < Estimate(0.9, 100).lower() < 0.9
    # Wilson's interval for 9 of 10 at 90 %.
    assert isclose(Estimate(0.9, 10).lower(), 0.6519, abs_tol=1e-3)
