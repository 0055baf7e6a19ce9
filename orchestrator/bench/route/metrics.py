"""Measures of routing, as their authors define them."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from orchestrator.routing.estimate.fitting import Matrix

Point = tuple[float, float]
"""Cost and quality."""

_BINS = 10
_HALVINGS = 30
_TIE = 9
"""Decimals up to which gains are told apart: below are errors of rounding, not an order."""
_NO_GAP = 1e-9
"""A difference of summed scores that is rounding, not a gap."""


def recovered(gain: Matrix, weak: Matrix, strong: Matrix) -> tuple[Matrix, Matrix] | None:
    """The share of strong calls, and the share of the performance gap recovered at it.

    The questions go to the strong model in the order of their expected gain; those with the same
    gain in random order, so that a run of ties is a straight line.

    Args:
        gain: How much more the strong model is expected to score, one per question.
        weak: What the weak model scored.
        strong: What the strong model scored.

    Returns:
        Both, ascending in the calls; `None` if both models score the same on these questions,
        for then there is no gap, and a share of it means nothing.
    """
    gap = float((strong - weak).sum())
    if abs(gap) < _NO_GAP:
        return None
    gain = np.round(gain, _TIE)
    order = np.argsort(-gain, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(gain[order])), len(gain) - 1)
    calls = np.concatenate([[0.0], (ends + 1) / len(gain)])
    bought = np.concatenate([[0.0], np.cumsum((strong - weak)[order])[ends] / gap])
    return calls, bought


def apgr(calls: Matrix, bought: Matrix) -> float:
    """Average performance gap recovered over all shares of strong calls (arXiv 2406.18665)."""
    return float(np.trapezoid(bought, calls))


def cpt(calls: Matrix, bought: Matrix, share: float) -> float:
    """The least share of strong calls that recovers `share` of the gap (arXiv 2406.18665)."""
    first = int(np.argmax(bought >= share))
    if first == 0:
        return 1.0 if bought[0] < share else 0.0
    rise = bought[first] - bought[first - 1]
    part = (share - bought[first - 1]) / rise
    return float(calls[first - 1] + part * (calls[first] - calls[first - 1]))


def hull(points: Sequence[Point]) -> list[Point]:
    """The upper convex hull, never falling: what mixing the points can reach."""
    found: list[Point] = []
    for cost, quality in sorted(points, key=lambda p: (p[0], -p[1])):
        if found and quality <= found[-1][1]:
            continue
        while len(found) > 1 and _below(found[-2], found[-1], (cost, quality)):
            found.pop()
        found.append((cost, quality))
    return found


def _below(left: Point, middle: Point, right: Point) -> bool:
    run, rise = right[0] - left[0], right[1] - left[1]
    return (middle[1] - left[1]) * run <= rise * (middle[0] - left[0])


def aiq(points: Sequence[Point], low: float, high: float) -> float:
    """Average improvement in quality: the mean height of the hull (arXiv 2403.12031).

    Args:
        points: Cost and quality of operating points.
        low: The least cost considered; below the first point its quality counts.
        high: The greatest cost considered; beyond the last point its quality counts.
    """
    return area(hull(points), low, high)


def area(points: Sequence[Point], low: float, high: float) -> float:
    """The mean height of the line through the points, between two costs."""
    costs, qualities = np.array(sorted(points)).T
    if high <= low:
        return float(np.interp(low, costs, qualities))
    grid = np.concatenate([[low], costs[(costs > low) & (costs < high)], [high]])
    return float(np.trapezoid(np.interp(grid, costs, qualities), grid) / (high - low))


def ece_debiased(confidence: Matrix, outcome: Matrix) -> float:
    """Expected calibration error over ten bins of equal size, less what scatter adds to it.

    The plain error of a perfect predictor is not zero, for the labels of a bin scatter. The value
    returned is the true gap per bin at which scatter would make the plain error as large as it
    was found; 0 if scatter alone explains it. Subtracting the error of a perfect predictor instead
    would hide most of a true error of the size of the scatter.
    """
    order = np.lexsort((_shuffle(len(confidence)), confidence))
    bins = np.array_split(order, min(_BINS, len(order)))
    share = np.array([len(rows) / len(order) for rows in bins])
    gaps = np.array([abs(confidence[rows].mean() - outcome[rows].mean()) for rows in bins])
    rates = np.array([outcome[rows].mean() for rows in bins])
    size = np.array([max(1, len(rows) - 1) for rows in bins])
    scatter = np.sqrt(np.maximum(rates * (1 - rates), 1e-12) / size)
    found = float(share @ gaps)
    low, high = 0.0, 1.0
    if float(share @ _folded(low, scatter)) >= found:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = float(share @ _folded(middle, scatter)) >= found
        low, high = (low, middle) if enough else (middle, high)
    return high


def _shuffle(count: int) -> NDArray[np.int64]:
    """Rows of one confidence must not be binned in the order of the table."""
    return np.random.default_rng(0).permutation(count)


def _folded(mean: float, deviation: Matrix) -> Matrix:
    """The expectation of ``abs(mean + deviation * Z)`` for a standard normal ``Z``."""
    u = mean / deviation
    outside = np.array([erfc(each / sqrt(2)) for each in u])
    return deviation * sqrt(2 / np.pi) * np.exp(-u * u / 2) + mean * (1 - outside)


def ece_floor(confidence: Matrix, seed: int, draws: int = 20) -> float:
    """What `ece_debiased` gives for a predictor that is perfectly calibrated."""
    random = np.random.default_rng(seed)
    outcomes = random.random((draws, len(confidence))) < confidence
    return float(np.mean([ece_debiased(confidence, each.astype(float)) for each in outcomes]))


def brier_skill(confidence: Matrix, outcome: Matrix) -> float:
    """How much better than the best constant: 1 is perfect, 0 is the constant."""
    spread = float(((outcome - outcome.mean()) ** 2).mean())
    if spread == 0:
        return 0.0
    return 1 - float(((confidence - outcome) ** 2).mean()) / spread
