from __future__ import annotations

import random
from itertools import pairwise
from math import isclose
from statistics import fmean

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.routing.estimate.calibration import Calibration, fit, in_levels


@given(st.floats(0.01, 0.99))
def test_the_default_changes_nothing(score):
    assert isclose(Calibration()(score), score, rel_tol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.5, 1.5), st.sampled_from([0.0, 1.0])), max_size=60))
def test_any_fit_is_monotone_and_a_probability(pairs):
    calibration = fit([score for score, _ in pairs], [outcome for _, outcome in pairs])
    values = [calibration(i / 100) for i in range(101)]
    assert all(0 <= value <= 1 for value in values)
    assert all(one <= two + 1e-12 for one, two in pairwise(values))


def test_overconfident_scores_are_brought_down():
    source = random.Random(7)
    scores = [source.choice([0.9, 0.1]) for _ in range(2_000)]
    outcomes = [float(source.random() < (0.7 if s > 0.5 else 0.3)) for s in scores]
    calibration = fit(scores, outcomes)
    assert abs(calibration(0.9) - 0.7) < 0.04
    assert abs(calibration(0.1) - 0.3) < 0.04


def test_fifty_labels_are_better_than_none():
    source = random.Random(8)
    gaps = []
    for _ in range(60):
        truth = [source.random() for _ in range(50)]
        outcomes = [float(source.random() < p) for p in truth]
        # Scores that claim twice the log-odds there are.
        calibration = fit([_sharper(p) for p in truth], outcomes)
        probe = [i / 20 for i in range(1, 20)]
        gaps.append(fmean(abs(calibration(_sharper(p)) - p) for p in probe))
    assert fmean(gaps) < fmean(abs(_sharper(i / 20) - i / 20) for i in range(1, 20))


def _sharper(p):
    odds = (p / (1 - p)) ** 2 if 0 < p < 1 else p
    return odds / (1 + odds)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([i / 20 for i in range(21)]), min_size=1, max_size=200))
def test_levels_keep_the_order_and_the_mean(scores):
    smooth = Calibration(1.2, 0.8, 0.1)
    levels = in_levels(smooth, scores)
    values = [levels(i / 100) for i in range(101)]
    assert all(one <= two for one, two in pairwise(values))
    assert len(set(values)) <= 4
    assert isclose(fmean(map(levels, scores)), fmean(map(smooth, scores)), rel_tol=1e-9)


def test_more_labels_tell_more_levels_apart():
    for labels, count in ((1, 1), (3, 2), (100, 2), (500, 2), (1_000, 3)):
        scores = [(i + 0.5) / labels for i in range(labels)]
        assert len(in_levels(Calibration(), scores).levels) == count
    assert in_levels(Calibration(), []) == Calibration()


def test_levels_lie_where_scores_are_far_apart():
    scores = [0.2 + i / 10_000 for i in range(20)] + [0.8 + i / 10_000 for i in range(80)]
    low, high = in_levels(Calibration(), scores).levels
    assert isclose(low[1], 0.201, abs_tol=1e-3)
    assert isclose(high[1], 0.804, abs_tol=1e-3)
    # Neither was seen; each is told what the nearer level is.
    two = in_levels(Calibration(), scores)
    assert (two(0.5), two(0.51)) == (low[1], high[1])
    assert len(in_levels(Calibration(), [0.5] * 100).levels) == 1


def test_levels_repeat_less_noise():
    """Scores whose order is mostly noise: reporting every shade of them claims too much."""
    source = random.Random(5)
    smooth = shaded = 0.0
    for _ in range(60):
        truth = {shade / 20: 0.5 + source.uniform(-0.25, 0.25) for shade in range(21)}
        noisy = {shade: truth[shade] + source.gauss(0, 0.1) for shade in truth}
        scores = [noisy[source.randrange(21) / 20] for _ in range(100)]
        coarse = in_levels(Calibration(), scores)
        by_level: dict[float, list[float]] = {}
        for shade, score in noisy.items():
            by_level.setdefault(coarse(score), []).append(truth[shade])
            shaded += abs(min(max(score, 0.0), 1.0) - truth[shade]) / 21
        smooth += sum(len(t) * abs(level - fmean(t)) for level, t in by_level.items()) / 21
    assert smooth < 0.7 * shaded


def test_no_level_speaks_for_both_sides_of_a_threshold():
    scores = [i / 200 for i in range(200)]
    for threshold in (0.3, 0.7, 0.85):
        found = in_levels(Calibration(), scores, threshold)
        assert threshold in [begin for begin, _ in found.levels]
        assert all((begin >= threshold) == (mean >= threshold) for begin, mean in found.levels)
    assert in_levels(Calibration(), scores, 0.99) == in_levels(Calibration(), scores)
