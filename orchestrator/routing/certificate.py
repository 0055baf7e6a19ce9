"""A threshold with a promise: among accepted replies at most alpha are wrong, said with 1 - delta.

Thresholds are relaxed one after the other, from one starting point, as long as the exact binomial
bound of the error among the accepted audits stays below alpha (fixed-sequence testing, after
Angelopoulos et al., arXiv 2110.01052). One start keeps all of delta; it depends on how many audits
there are and on alpha, never on what came of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, exp, lgamma, log, log1p
from typing import Literal

State = Literal["uncalibrated", "calibrated", "certified"]

CALIBRATED_FROM = 30
"""Labels from which confidences are fitted to outcomes."""
_START = 0.2
"""The share of the labels where relaxing begins: few accepted prove little, many risk too much."""
_FORGIVEN = 1
"""Errors that must be forgiven where relaxing begins, or one unlucky audit ends it there."""
_HALVINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What may be said about the error among accepted replies.

    Attributes:
        state: `uncalibrated`: too few labels; `calibrated`: confidences fitted, no promise;
            `certified`: the bound holds.
        alpha: The largest share of accepted replies that are wrong.
        delta: The largest probability that the promise is false.
        labels: How many audits it rests on; drawn at random, before their outcome was seen.
        accepted: How many of them are accepted at the threshold.
        errors: How many of those are wrong.
        threshold: Accept at or above this confidence; `None`: nothing may be accepted.
        bound: The upper bound of the error among accepted replies.
        coverage: The share of the audits that is accepted.
        loss: What counts as an error, in words.
        scope: What it holds for: model versions, prompt, tools, checks. Any change voids it.
        expires: When it must be renewed; `None`: with the scope only.
    """

    state: State
    alpha: float
    delta: float
    labels: int
    accepted: int = 0
    errors: int = 0
    threshold: float | None = None
    bound: float = 1.0
    coverage: float = 0.0
    loss: str = "wrong"
    scope: str = ""
    expires: datetime | None = None


def upper_bound(errors: int, trials: int, delta: float) -> float:
    """The exact upper bound of an error rate (Clopper and Pearson 1934), missed with `delta`."""
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if at_most(errors, trials, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def at_most(errors: int, trials: int, rate: float) -> float:
    """The probability of at most `errors` in `trials` at an error rate strictly between 0 and 1."""
    if rate >= 1:
        return float(errors >= trials)
    if rate <= 0:
        return 1.0
    odds = log(rate) - log1p(-rate)
    base = trials * log1p(-rate) + lgamma(trials + 1)
    return sum(
        exp(base - lgamma(k + 1) - lgamma(trials - k + 1) + k * odds) for k in range(errors + 1)
    )


def certify(
    audits: Sequence[tuple[float, bool]],
    thresholds: Sequence[float],
    *,
    alpha: float,
    delta: float,
    loss: str = "wrong",
    scope: str = "",
    expires: datetime | None = None,
) -> Certificate:
    """Find the loosest threshold whose error is at most alpha, with probability 1 - delta.

    Args:
        audits: Confidence, and whether the reply was wrong, of audits drawn at random. None of
            them may have been used to fit the confidence.
        thresholds: Candidates, fixed without these outcomes.
        alpha: The largest share of accepted replies that may be wrong.
        delta: The largest probability that the promise is false.
        loss: What counts as an error, in words.
        scope: What the certificate holds for.
        expires: When it must be renewed.

    Returns:
        The certificate; `calibrated` or `uncalibrated` if no threshold can be promised.
    """
    ordered = sorted(audits)
    confidences = [confidence for confidence, _ in ordered]
    wrong_from = [0] * (len(ordered) + 1)
    for i in range(len(ordered) - 1, -1, -1):
        wrong_from[i] = wrong_from[i + 1] + ordered[i][1]
    strict_first = sorted(set(thresholds), reverse=True)
    accepted = [len(ordered) - bisect_left(confidences, each) for each in strict_first]

    def passes(i: int) -> bool:
        errors = wrong_from[len(ordered) - accepted[i]]
        return at_most(errors, accepted[i], alpha) <= delta

    found, i = -1, bisect_left(accepted, _fewest(len(ordered), alpha, delta))
    while i < len(strict_first) and passes(i):
        found = i
        i += 1
    state: State = "calibrated" if len(ordered) >= CALIBRATED_FROM else "uncalibrated"
    if found < 0:
        return Certificate(
            state=state, alpha=alpha, delta=delta, labels=len(ordered), loss=loss, scope=scope
        )
    count, errors = accepted[found], wrong_from[len(ordered) - accepted[found]]
    return Certificate(
        state="certified",
        alpha=alpha,
        delta=delta,
        labels=len(ordered),
        accepted=count,
        errors=errors,
        threshold=strict_first[found],
        bound=upper_bound(errors, count, delta),
        coverage=count / len(ordered),
        loss=loss,
        scope=scope,
        expires=expires,
    )


def _fewest(labels: int, alpha: float, delta: float) -> int:
    """How many audits the strictest threshold tested must accept; at least one."""
    count = max(1, ceil(_START * labels))
    while count <= labels and at_most(_FORGIVEN, count, alpha) > delta:
        count += 1
    return count
