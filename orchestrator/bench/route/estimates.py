"""Estimates of every model's quality on every question, at every stage of a cascade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.bench.route.evidence import Evidence
from orchestrator.routing.estimate.fitting import Block, ClassMeans, Codes, Matrix, fit

FEW = 30
"""Labels below which only class means are used."""
MANY = 200
"""Labels from which the words of the prompt are used."""

Run = tuple[int, ...]
"""The models that have replied, ascending."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the best reply in hand will be worth after one more model: mean, and what it varies."""

    mean: Matrix
    spread: Matrix


class Estimates:
    """Estimates for all rows of a table from its labelled rows; for these, leave-one-out.

    Attributes:
        labelled: The rows whose scores may be used.
        cost: What each model is expected to cost, by class.
    """

    def __init__(self, evidence: Evidence, labelled: Codes, *, agree: bool) -> None:
        """Fit the estimates before any reply; later stages are fitted when first asked for."""
        self.evidence, self.labelled, self._agree = evidence, labelled, agree
        self._table = evidence.table
        self._stages: dict[Run, Matrix] = {}
        self._prospects: dict[tuple[Run, int], Prospect] = {}
        self.cost = self._by_class(self._table.cost[labelled])

    def quality(self, run: Run) -> Matrix:
        """The expected score of each model's reply once the models of `run` have replied."""
        if run not in self._stages:
            score = self._table.score
            self._stages[run] = self._ante(score) if not run else self._post(run, score)
        return self._stages[run]

    def prospect(self, run: Run, model: int) -> Prospect:
        """The expected score of the best reply in hand, once `model` will have replied too."""
        if (run, model) not in self._prospects:
            after = tuple(sorted((*run, model)))
            target = self.quality(after)[:, after].max(axis=1, keepdims=True)
            prior = self.quality(run)[:, after].max(axis=1, keepdims=True)
            mean = prior + self._add(run, target - prior, text=False)
            error = (target - mean)[self.labelled] ** 2
            spread = np.sqrt(np.maximum(self._by_class(error), 1e-12))
            self._prospects[run, model] = Prospect(mean[:, 0], spread[:, 0])
        return self._prospects[run, model]

    def _ante(self, score: Matrix) -> Matrix:
        # The cheapest model's success, and for every other model its gain over that.
        targets = _gains(score)
        prior = self._by_class(targets[self.labelled])
        return _levels(prior + self._add((), targets - prior, text=True))

    def _post(self, run: Run, score: Matrix) -> Matrix:
        prior = _gains(self.quality(()))
        return _levels(prior + self._add(run, _gains(score) - prior, text=False))

    def _add(self, run: Run, rest: Matrix, *, text: bool) -> Matrix:
        evidence, labelled = self.evidence, self.labelled
        if len(labelled) < FEW:
            return np.zeros_like(rest)
        dense = evidence.after(run, labelled, agree=self._agree)
        raw = [dense, evidence.one_hot]
        nested = [1, 2]
        if text and len(labelled) >= MANY:
            raw, nested = [*raw, evidence.text], [1, 2, 3]
        blocks = [Block.of(each[labelled], standardise=i == 0) for i, each in enumerate(raw)]
        ridge = fit([each[labelled] for each in raw], blocks, rest[labelled], nested)
        added = ridge.predict(raw)
        added[labelled] = ridge.left_out
        return added

    def _by_class(self, targets: Matrix) -> Matrix:
        classes = self._table.classes
        means = ClassMeans.fit(classes[self.labelled], len(self._table.groups), targets)
        spread = means.table[classes]
        spread[self.labelled] = means.left_out
        return spread


def _gains(score: Matrix) -> Matrix:
    return np.hstack([score[:, :1], score[:, 1:] - score[:, :1]])


def _levels(gains: Matrix) -> Matrix:
    return np.hstack([gains[:, :1], gains[:, 1:] + gains[:, :1]])
