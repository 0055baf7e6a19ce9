"""Which model to ask next, or whether the reply in hand is good enough.

Asking a model is opening a box: it costs something, and its worth is known only afterwards.
The optimal order is by reservation value (Weitzman 1979, "Optimal search for the best
alternative"): the worth at which paying to look breaks even. Estimates are renewed after every
reply, so that a cheap reply also says what a dearer one will be worth.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, inf, pi, sqrt
from typing import Literal

BelowThreshold = Literal["best", "halt", "ask"]
Verdict = Literal["run", "accept", "best", "halt", "ask"]

_WIDEST, _STEP = 6.0, 0.02
_HOPELESS = 0.01
"""Chance of reaching the threshold below which an option is not worth its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An action that could be run now.

    Attributes:
        action: Its name.
        quality: The expected quality of its reply, 0 to 1.
        mean: The expected quality of the best reply in hand once it has run.
        spread: The standard deviation of that, as checks will tell; 0: no check will.
        cost: The whole expected cost (checks, retries, lost prompt cache), in the unit of `Price`.
        accepted: The probability that its reply will be accepted, where that was counted; `None`:
            it follows from mean and spread.
    """

    action: str
    quality: float
    mean: float
    spread: float
    cost: float
    accepted: float | None = None


@dataclass(frozen=True, slots=True)
class InHand:
    """The best reply so far: whose it is, its quality, and a lower bound of that."""

    action: str
    quality: float
    lower: float


@dataclass(frozen=True, slots=True)
class Price:
    """Run what is worth its cost: quality that one unit of cost must buy."""

    quality_per_cost: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """Accept what is good enough, at the least expected cost."""

    confidence: float
    below: BelowThreshold = "best"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the number each option was judged by (higher is better).

    Attributes:
        verdict: `run` an action, `accept` the reply in hand, or what the policy says when no
            option reaches the threshold (`best`, `halt`, `ask`).
        action: What to run, or whose reply is meant; `None`: there is none.
        scores: One per option, for the explanation.
    """

    verdict: Verdict
    action: str | None
    scores: tuple[tuple[str, float], ...]


def expected_excess(u: float) -> float:
    """The expectation of ``max(Z + u, 0)`` for a standard normal ``Z``."""
    return u * 0.5 * erfc(-u / sqrt(2)) + exp(-u * u / 2) / sqrt(2 * pi)


def excess_table() -> tuple[list[float], list[float]]:
    """``u`` and `expected_excess` of it, both ascending, to invert by interpolation."""
    points = [-_WIDEST + _STEP * i for i in range(round(2 * _WIDEST / _STEP) + 1)]
    return points, [expected_excess(u) for u in points]


_POINTS, _EXCESS = excess_table()


def _inverse_excess(excess: float) -> float:
    if excess >= _EXCESS[-1]:
        return excess
    if excess <= _EXCESS[0]:
        return -_WIDEST
    i = bisect_left(_EXCESS, excess)
    part = (excess - _EXCESS[i - 1]) / (_EXCESS[i] - _EXCESS[i - 1])
    return _POINTS[i - 1] + part * _STEP


def reservation(option: Option, price: Price) -> float:
    """The quality in hand at which asking for this option exactly breaks even."""
    toll = price.quality_per_cost * option.cost
    if option.spread <= 0:
        return option.quality - toll
    look = option.mean - option.spread * _inverse_excess(toll / option.spread)
    return max(look, option.quality - toll)


def chance(option: Option, threshold: Threshold) -> float:
    """The probability that a reply at or above the threshold is in hand after this option."""
    if option.accepted is not None:
        return option.accepted
    margin = option.mean - threshold.confidence
    if option.spread <= 0:
        return 1.0 if margin >= 0 else 0.0
    return 0.5 * erfc(-margin / option.spread / sqrt(2))


def decide(options: Sequence[Option], in_hand: InHand | None, rule: Price | Threshold) -> Decision:
    """Choose the next action, or stop.

    Args:
        options: What may still be run: affordable, within limits, not run before.
        in_hand: The best reply so far.
        rule: A price of quality (a plan with a budget), or a threshold.

    Returns:
        The decision; ties go to the earlier option.
    """
    if isinstance(rule, Price):
        return _by_price(options, in_hand, rule)
    return _by_threshold(options, in_hand, rule)


def _by_price(options: Sequence[Option], in_hand: InHand | None, price: Price) -> Decision:
    scores = tuple((option.action, reservation(option, price)) for option in options)
    best = max(scores, key=lambda score: score[1], default=None)
    if in_hand is not None and (best is None or in_hand.quality >= best[1]):
        return Decision("accept", in_hand.action, scores)
    if best is None:
        return Decision("halt", None, scores)
    return Decision("run", best[0], scores)


def _by_threshold(
    options: Sequence[Option], in_hand: InHand | None, threshold: Threshold
) -> Decision:
    if in_hand is not None and in_hand.lower >= threshold.confidence:
        return Decision("accept", in_hand.action, ())
    # Trying in the order of cost per chance of success has the least expected cost. In
    # particular: cheap first only if its chance exceeds its cost over the stronger one's.
    chances = [chance(option, threshold) for option in options]
    scores = tuple(
        (o.action, p / o.cost if o.cost > 0 else inf) for o, p in zip(options, chances, strict=True)
    )
    hopeful = [s for s, p in zip(scores, chances, strict=True) if p >= _HOPELESS]
    if hopeful:
        return Decision("run", max(hopeful, key=lambda score: score[1])[0], scores)
    if threshold.below != "best":
        return Decision(threshold.below, in_hand.action if in_hand else None, scores)
    best = max(options, key=lambda option: option.quality, default=None)
    if best is not None and (in_hand is None or best.quality > in_hand.quality):
        return Decision("run", best.action, scores)
    return Decision("best", in_hand.action if in_hand else None, scores)
