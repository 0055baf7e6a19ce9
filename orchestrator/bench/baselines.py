"""What simple rules would have cost and bought, from a table of every model on every question.

Any saving stands beside these, or it says nothing: asking the cheapest model saves most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.bench.records import Baseline, Source
from orchestrator.core.money import Money

RIGHT = 1.0
_POINT = 0.01
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one model did on one question.

    Attributes:
        score: Between 0 and 1.
        cost: What its reply cost.
    """

    score: float
    cost: Money


class OutcomeTable:
    """Every model's outcome on every question, and the baselines that follow from it."""

    def __init__(self, outcomes: Mapping[tuple[str, str], Outcome], source: Source) -> None:
        """Take a complete table.

        Args:
            outcomes: By (query, model).
            source: Where scores and costs come from; every baseline is labelled with it.

        Raises:
            ValueError: If it is empty, or a model lacks a question that another one has.
        """
        self._outcomes = dict(outcomes)
        self._source: Source = source
        self._queries = tuple(dict.fromkeys(query for query, _ in outcomes))
        models = dict.fromkeys(model for _, model in outcomes)
        missing = [
            f"{model} on {query}"
            for query in self._queries
            for model in models
            if (query, model) not in outcomes
        ]
        if missing or not outcomes:
            what = ", ".join(missing[:5]) or "everything"
            message = f"The table lacks {what} ({len(missing)} outcomes); baselines need them all."
            raise ValueError(message)
        # Cheapest first, so that ties go to the cheaper model.
        self._models = tuple(sorted(models, key=lambda model: self._cost(model).nano))

    def all_cheapest(self) -> Baseline:
        """The model that costs least, for every question."""
        return self._single("all_cheapest", self._models[0])

    def all_strongest(self) -> Baseline:
        """The model that costs most, for every question: what people take for the strongest."""
        return self._single("all_strongest", self._models[-1])

    def best_single(self) -> Baseline:
        """The model with the best score over all questions, the cheaper one if two are equal."""
        return self._single("best_single", max(self._models, key=self._quality))

    def cheapest_within_a_point(self) -> Baseline:
        """The cheapest model whose score is within one point (.01) of the best one's."""
        least = max(map(self._quality, self._models)) - _POINT
        near = next(model for model in self._models if self._quality(model) >= least - _ROUNDING)
        return self._single("cheapest_within_1pt", near)

    def random_mix(self, cost: Money) -> Baseline:
        """Cheapest and strongest mixed at random so that the expected total is ``cost``.

        A cost outside their range gives the nearer end.
        """
        low, high = self.all_cheapest(), self.all_strongest()
        width = high.cost.nano - low.cost.nano
        share = Fraction(cost.nano - low.cost.nano, width) if width else Fraction(0)
        share = min(max(share, Fraction(0)), Fraction(1))
        return Baseline(
            name="random_mix",
            detail=f"{float(share):.0%} {high.detail}, else {low.detail}",
            tasks=len(self._queries),
            quality=low.quality + float(share) * (high.quality - low.quality),
            cost=Money(low.cost.nano + round(share * width)),
            source=self._source,
        )

    def oracle(self) -> Baseline:
        """For each question the cheapest model that is right, or the cheapest if none is.

        Nobody can route like this; it bounds what routing among these models can buy.
        """
        chosen = [self._oracle_outcome(query) for query in self._queries]
        return Baseline(
            name="oracle",
            detail="cheapest model that is right",
            tasks=len(chosen),
            quality=sum(outcome.score for outcome in chosen) / len(chosen),
            cost=sum((outcome.cost for outcome in chosen), Money.ZERO),
            source=self._source,
        )

    def all(self, cost: Money) -> tuple[Baseline, ...]:
        """Every baseline; the random mix at ``cost``."""
        return (
            self.all_cheapest(),
            self.all_strongest(),
            self.best_single(),
            self.cheapest_within_a_point(),
            self.random_mix(cost),
            self.oracle(),
        )

    def _single(self, name: str, model: str) -> Baseline:
        return Baseline(
            name=name,
            detail=model,
            tasks=len(self._queries),
            quality=self._quality(model),
            cost=self._cost(model),
            source=self._source,
        )

    def _oracle_outcome(self, query: str) -> Outcome:
        outcomes = [self._outcomes[query, model] for model in self._models]
        right = [outcome for outcome in outcomes if outcome.score >= RIGHT]
        return min(right or outcomes, key=lambda outcome: outcome.cost.nano)

    def _cost(self, model: str) -> Money:
        return sum((self._outcomes[query, model].cost for query in self._queries), Money.ZERO)

    def _quality(self, model: str) -> float:
        scores = [self._outcomes[query, model].score for query in self._queries]
        return sum(scores) / len(scores)
