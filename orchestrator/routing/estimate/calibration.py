"""From a score to a probability, learned from some thirty outcomes.

Beta calibration (Kull, Silva Filho and Flach 2017): ``logit p' = a ln p - b ln(1 - p) + c``; Platt
scaling is the case a = b. The parameters are drawn towards "leave it as it is" (1, 1, 0), which is
what keeps a fit on few labels from being worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

_EDGE = 1e-3
_HOLD = (8.0, 8.0, 1.0)
"""How strongly each parameter is held at its default, as inverse prior variances."""
_STEPS = 25

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from score to probability; the default changes nothing."""

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def __call__(self, score: float) -> float:
        """The probability that belongs to a score; both between 0 and 1."""
        x = _inputs(score)
        return _logistic(self.a * x[0] + self.b * x[1] + self.c)


def fit(scores: Sequence[float], outcomes: Sequence[float]) -> Calibration:
    """Fit by Newton's method.

    Args:
        scores: What was estimated; outside of 0 to 1 it is cut.
        outcomes: What came of it, 0 to 1.

    Returns:
        The calibration, non-decreasing.
    """
    rows = [_inputs(score) for score in scores]
    now: Vector = (1.0, 1.0, 0.0)
    for _ in range(_STEPS):
        slope = [hold * (start - w) for hold, start, w in zip(_HOLD, (1, 1, 0), now, strict=True)]
        curve = [[_HOLD[i] if i == j else 0.0 for j in range(3)] for i in range(3)]
        for x, outcome in zip(rows, outcomes, strict=True):
            p = _logistic(sum(w * each for w, each in zip(now, x, strict=True)))
            for i in range(3):
                slope[i] += (outcome - p) * x[i]
                for j in range(3):
                    curve[i][j] += p * (1 - p) * x[i] * x[j]
        step = _solve(curve, slope)
        now = (now[0] + step[0], now[1] + step[1], now[2] + step[2])
        if max(map(abs, step)) < 1e-9:  # noqa: PLR2004 - converged
            break
    return Calibration(max(now[0], 0.0), max(now[1], 0.0), now[2])


def _inputs(score: float) -> Vector:
    p = min(max(score, _EDGE), 1 - _EDGE)
    return log(p), -log(1 - p), 1.0


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


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
