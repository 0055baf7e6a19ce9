"""From a score to a probability, learned from some thirty outcomes.

Beta calibration (Kull, Silva Filho and Flach 2017): ``logit p' = a ln p - b ln(1 - p) + c``; Platt
scaling is the case a = b. The parameters are drawn towards "leave it as it is" (1, 1, 0), which is
what keeps a fit on few labels from being worse than none.

The map is smooth, but what a few hundred labels teach about an order of cases is not: differences
finer than they bear out are noise, and a probability that repeats them is off. `in_levels` reports
the mean of as many neighbours as are known together, in few levels that lie far apart. It gives up
some sharpness for that, so orders and choices are made with the estimate itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import exp, log, log1p

_EDGE = 1e-3
_HOLD = (20.0, 20.0, 1.0)
"""How strongly each parameter is held at its default, as inverse prior variances."""
_DEFAULT = (1.0, 1.0, 0.0)
_STEPS, _SMALLEST = 50, 1e-8
_LEVELS = 2
"""Levels of confidence that any labels are split into."""
_GROWTH = 0.3
"""Levels per cube root of the labels: what scatter and coarseness add up to is least when levels
grow so. With 100 and 500 labels there are two, with 1,000 three."""
_SHARE = 0.1
"""The least share of the labels that a level has."""
_PLACES = 20
"""Quantiles at which a level may begin."""

Vector = tuple[float, float, float]
_Way = tuple[float, tuple[int, ...]]
"""How far apart some levels lie, and where they begin and end."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from score to probability; the default changes nothing.

    Attributes:
        a: The weight of ``ln p``.
        b: The weight of ``-ln(1 - p)``.
        c: The constant.
        levels: Ascending: from which probability on a level reaches, and what it reports. The first
            reaches down to 0. Empty: the smooth map itself.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    levels: tuple[tuple[float, float], ...] = ()

    def __call__(self, score: float) -> float:
        """The probability that belongs to a score; both between 0 and 1."""
        smooth = _logistic(_dot((self.a, self.b, self.c), _inputs(score)))
        if not self.levels:
            return smooth
        level = bisect_right(self.levels, smooth, key=lambda each: each[0]) - 1
        return self.levels[max(0, level)][1]


def fit(scores: Sequence[float], outcomes: Sequence[float]) -> Calibration:
    """Fit by Newton's method, with steps halved until they help.

    Args:
        scores: What was estimated; outside of 0 to 1 it is cut.
        outcomes: What came of it, 0 to 1.

    Returns:
        The calibration, non-decreasing.
    """
    rows = [(_inputs(score), outcome) for score, outcome in zip(scores, outcomes, strict=True)]
    now: Vector = _DEFAULT
    loss = _loss(rows, now)
    for _ in range(_STEPS):
        step, part = _newton(rows, now), 1.0
        while part > _SMALLEST:
            # Negative slopes would turn the order of scores around.
            trial = (
                max(now[0] + part * step[0], 0.0),
                max(now[1] + part * step[1], 0.0),
                now[2] + part * step[2],
            )
            if (better := _loss(rows, trial)) < loss - _SMALLEST:
                now, loss = trial, better
                break
            part /= 2
        else:
            break
    return Calibration(*now)


def in_levels(
    smooth: Calibration, scores: Sequence[float], threshold: float | None = None
) -> Calibration:
    """Report the mean of a level instead of every shade.

    Args:
        smooth: The fitted map.
        scores: What it was fitted on; without any, nothing is changed.
        threshold: Where a probability decides something: a level begins there if enough lie on
            both sides, so that no level speaks for both.

    Returns:
        The map in those levels that differ most from each other; equal scores share a level.
    """
    values = sorted(map(smooth, scores))
    if not values:
        return smooth
    size, count = len(values), max(_LEVELS, round(_GROWTH * len(values) ** (1 / 3)))
    cut = 0 if threshold is None else bisect_left(values, threshold)
    if _SHARE * size <= cut <= (1 - _SHARE) * size:
        above = _split(values[cut:], max(1, round(count * (1 - cut / size))))
        below = _split(values[:cut], max(1, round(count * cut / size)))
        bounds = (*below[:-1], *(cut + each for each in above))
    else:
        cut, bounds = 0, _split(values, count)
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(bounds)]
    # What lies between two levels belongs to the nearer one, so they meet halfway.
    edges = [(values[max(0, start - 1)] + values[start]) / 2 for start in bounds[:-1]]
    if cut and threshold is not None:
        edges[bounds.index(cut)] = threshold
    return replace(smooth, levels=tuple(zip(edges, means, strict=True)))


def _split(values: Sequence[float], count: int) -> tuple[int, ...]:
    """Where `count` levels begin and the last one ends, so that their means lie widest apart.

    That is the partition of least squares (Fisher 1958), by dynamic programming; fewer levels if
    there are not enough different values.
    """
    size = len(values)
    sums = [0.0, *accumulate(values)]
    # A level begins where a value first occurs, so that none is split.
    places = sorted({bisect_left(values, values[i * size // _PLACES]) for i in range(_PLACES)})
    places.append(size)
    best: dict[int, _Way] = {0: (0.0, (0,))}
    found: dict[int, _Way] = {size: (0.0, (0, size))}
    for _ in range(count):
        best = {
            end: max(
                (apart + (sums[end] - sums[start]) ** 2 / (end - start), (*bounds, end))
                for start, (apart, bounds) in best.items()
                if end - start >= _SHARE * size
            )
            for end in places
            if any(end - start >= _SHARE * size for start in best)
        }
        found |= {end: way for end, way in best.items() if end == size}
    return found[size][1]


def _newton(rows: Sequence[tuple[Vector, float]], now: Vector) -> Vector:
    slope = [hold * (start - w) for hold, start, w in zip(_HOLD, _DEFAULT, now, strict=True)]
    curve = [[_HOLD[i] if i == j else 0.0 for j in range(3)] for i in range(3)]
    for x, outcome in rows:
        p = _logistic(_dot(now, x))
        for i in range(3):
            slope[i] += (outcome - p) * x[i]
            for j in range(3):
                curve[i][j] += p * (1 - p) * x[i] * x[j]
    return _solve(curve, slope)


def _loss(rows: Sequence[tuple[Vector, float]], now: Vector) -> float:
    held = sum(h * (w - s) ** 2 / 2 for h, w, s in zip(_HOLD, now, _DEFAULT, strict=True))
    return held + sum(
        _softplus(z) - outcome * z for z, outcome in ((_dot(now, x), y) for x, y in rows)
    )


def _inputs(score: float) -> Vector:
    p = min(max(score, _EDGE), 1 - _EDGE)
    return log(p), -log(1 - p), 1.0


def _dot(one: Vector, two: Vector) -> float:
    return one[0] * two[0] + one[1] * two[1] + one[2] * two[2]


def _softplus(z: float) -> float:
    return max(z, 0.0) + log1p(exp(-abs(z)))


def _logistic(z: float) -> float:
    return 1 / (1 + exp(-z)) if z >= 0 else exp(z) / (1 + exp(z))


def _solve(matrix: list[list[float]], right: list[float]) -> Vector:
    """Cramer's rule; the matrix is positive definite, for every parameter is held."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    x, y, z = right
    return (
        (x * (e * i - f * h) - b * (y * i - f * z) + c * (y * h - e * z)) / whole,
        (a * (y * i - f * z) - x * (d * i - f * g) + c * (d * z - y * g)) / whole,
        (a * (e * z - y * h) - b * (d * z - y * g) + x * (d * h - e * g)) / whole,
    )
