"""Policies side by side on the same questions: differences with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from orchestrator.bench.baselines import Outcome
from orchestrator.core.money import Money

RESAMPLES = 2_000
_LOW, _HIGH = 0.025, 0.975

Outcomes = Mapping[str, Outcome]
"""What a policy did, by question."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One policy less another, per question.

    Attributes:
        name: The policy.
        less: The policy it is compared with.
        quality: The difference of the scores.
        cost: The difference of the costs, USD.
    """

    name: str
    less: str
    quality: Interval
    cost: Interval


def differences(runs: Mapping[str, Outcomes], seed: int = 0) -> list[Difference]:
    """Every policy against the first.

    The questions are drawn anew with replacement, both policies on the same ones (Efron and
    Tibshirani 1993, the percentile interval of paired differences).

    Args:
        runs: What each policy did, all on the same questions.
        seed: Of the draws.
    """
    (first, base), *others = runs.items()
    return [
        Difference(
            name,
            first,
            bootstrap([found[q].score - base[q].score for q in base], seed),
            bootstrap([_usd(found[q].cost) - _usd(base[q].cost) for q in base], seed),
        )
        for name, found in others
    ]


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean and its percentile interval over resamples; both ends are the mean for one value."""
    source = Random(seed)  # noqa: S311 - a resampling, and seeded
    count = len(values)
    means = sorted(sum(source.choices(values, k=count)) / count for _ in range(RESAMPLES))
    mean = sum(values) / count
    return Interval(mean, means[round(_LOW * RESAMPLES)], means[round(_HIGH * RESAMPLES) - 1])


def cost_per_success(outcomes: Outcomes) -> Money | None:
    """All costs over the sum of scores; `None` where nothing succeeded."""
    score = sum(outcome.score for outcome in outcomes.values())
    cost = sum((outcome.cost for outcome in outcomes.values()), Money.ZERO)
    return Money(round(cost.nano / score)) if score else None


def _usd(cost: Money) -> float:
    return cost.nano / 1e9
