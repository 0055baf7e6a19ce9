from __future__ import annotations

from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.route import metrics


def recovered(gain, weak, strong):
    return metrics.recovered(*(np.array(each, dtype=float) for each in (gain, weak, strong)))


def test_gap_recovered_by_hand():
    # Strong right on the first two of four, weak on none: the order 1, 2, 3, 4 recovers all by .5.
    calls, bought = recovered([4, 3, 2, 1], [0, 0, 0, 0], [1, 1, 0, 0])
    assert calls.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert bought.tolist() == [0, 0.5, 1, 1, 1]
    assert isclose(metrics.apgr(calls, bought), (0.25 + 0.75 + 1 + 1) / 4)
    assert isclose(metrics.cpt(calls, bought, 0.5), 0.25)
    assert isclose(metrics.cpt(calls, bought, 0.8), 0.4)


def test_ties_are_the_random_mix():
    calls, bought = recovered([1, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 0])
    assert isclose(metrics.apgr(calls, bought), 0.5)
    assert isclose(metrics.cpt(calls, bought, 0.5), 0.5)


def test_equal_models_have_no_gap():
    assert recovered([1, 2], [1, 0], [0, 1]) is None
    assert recovered([1, 2, 3], [0.1, 0.2, 0], [0.3, 0, 0]) is None


@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([0, 1])), min_size=2, max_size=40))
def test_all_strong_recovers_the_whole_gap(rows):
    gain, weak = [row[0] for row in rows], [row[1] for row in rows]
    if all(weak):
        return
    calls, bought = recovered(gain, weak, [1] * len(rows))
    assert isclose(bought[-1], 1)
    assert np.all(np.diff(calls) > 0)
    assert np.all(np.diff(bought) >= -1e-12)


def test_hull_and_area_by_hand():
    points = [(1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (3.0, 0.87), (4.0, 0.9)]
    assert metrics.hull(points) == [(1.0, 0.5), (2.0, 0.8), (3.0, 0.87), (4.0, 0.9)]
    # Trapezia .65 + .835 + .885 over a span of 3.
    assert isclose(metrics.aiq(points, 1, 4), (0.65 + 0.835 + 0.885) / 3)
    # Beyond the last point its quality counts.
    assert isclose(metrics.aiq([(1.0, 0.5)], 1, 4), 0.5)


@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_hull_rises_ever_more_slowly_and_covers_every_point(points):
    found = metrics.hull(points)
    costs, qualities = np.array(found).T
    assert np.all(np.diff(costs) > 0)
    assert np.all(np.diff(qualities) > 0)
    for cost, quality in points:
        assert np.interp(cost, costs, qualities) >= quality - 1e-9


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.1])
def test_calibration_error_is_found_free_of_scatter(gap):
    random = np.random.default_rng(1)
    found, plain = [], []
    for _ in range(60):
        confidence = random.uniform(0.2, 0.8, 1_000)
        outcome = (random.random(1_000) < confidence - gap).astype(float)
        found.append(metrics.ece_debiased(confidence, outcome))
        bins = np.array_split(np.argsort(confidence), 10)
        plain.append(np.mean([abs(confidence[b].mean() - outcome[b].mean()) for b in bins]))
    assert abs(np.mean(found) - gap) < 0.016
    assert abs(np.mean(found) - gap) < abs(np.mean(plain) - gap) + 0.004


def test_perfect_predictor_has_a_low_floor():
    confidence = np.random.default_rng(2).uniform(0.1, 0.9, 2_000)
    assert metrics.ece_floor(confidence, 0) < 0.015


def test_brier_skill_by_hand():
    outcome = np.array([1.0, 1.0, 0.0, 0.0])
    assert metrics.brier_skill(outcome, outcome) == 1
    assert metrics.brier_skill(np.full(4, 0.5), outcome) == 0
    assert isclose(metrics.brier_skill(np.array([0.9, 0.9, 0.1, 0.1]), outcome), 1 - 0.01 / 0.25)
