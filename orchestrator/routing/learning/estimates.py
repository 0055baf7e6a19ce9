"""Estimates of every model's quality on every question, at every stage of a cascade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.routing.estimate.fitting import Block, ClassMeans, Codes, Matrix, Ridge, fit
from orchestrator.routing.learning.evidence import Evidence

FEW = 30
"""Labels below which only class means are used."""
MANY = 200
"""Labels from which the words of the prompt are used."""

Run = tuple[int, ...]
"""The models that have replied, ascending."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Estimates once some models have replied.

    Attributes:
        quality: The expected score of each model's reply, for all rows.
        means: The class means it starts from; `None`: it starts from the stage before any reply.
        ridge: What the features add; `None`: too few labels.
    """

    quality: Matrix
    means: ClassMeans | None
    ridge: Ridge | None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the best reply in hand will be worth after one more model: mean, and what it varies.

    Attributes:
        mean: For all rows.
        spread: The standard deviation, for all rows.
        ridge: What the features add to the best of the present estimates.
        errors: Class means of the squared error, which the spread comes from.
    """

    mean: Matrix
    spread: Matrix
    ridge: Ridge | None
    errors: ClassMeans


class Estimates:
    """Estimates for all rows of a table from its labelled rows; for these, leave-one-out.

    Attributes:
        labelled: The rows whose scores may be used.
        costs: Class means of what each model costs.
        cost: What each model is expected to cost, for all rows.
    """

    def __init__(self, evidence: Evidence, labelled: Codes, *, agree: bool) -> None:
        """Fit what is known before any reply; later stages are fitted when first asked for."""
        self.evidence, self.labelled, self.agree = evidence, labelled, agree
        self._table = evidence.table
        self._stages: dict[Run, Stage] = {}
        self._prospects: dict[tuple[Run, int], Prospect] = {}
        self.costs, self.cost = self._by_class(self._table.cost)

    def stage(self, run: Run) -> Stage:
        """The estimates once the models of `run` have replied."""
        if run not in self._stages:
            # The first model's success, and for every other model its gain over that.
            target, means = gains(self._table.score), None
            if run:
                prior = gains(self.quality(()))
            else:
                means, prior = self._by_class(target)
            ridge, added = self._add(run, target - prior)
            self._stages[run] = Stage(levels(prior + added), means, ridge)
        return self._stages[run]

    def quality(self, run: Run) -> Matrix:
        """The expected score of each model's reply once the models of `run` have replied."""
        return self.stage(run).quality

    def prospect(self, run: Run, model: int) -> Prospect:
        """The expected score of the best reply in hand, once `model` will have replied too."""
        if (run, model) not in self._prospects:
            after = tuple(sorted((*run, model)))
            target = self.quality(after)[:, after].max(axis=1, keepdims=True)
            prior = self.quality(run)[:, after].max(axis=1, keepdims=True)
            ridge, added = self._add(run, target - prior, words=False)
            mean = prior + added
            errors, variance = self._by_class((target - mean) ** 2)
            spread = np.sqrt(np.maximum(variance, 1e-12))
            self._prospects[run, model] = Prospect(mean[:, 0], spread[:, 0], ridge, errors)
        return self._prospects[run, model]

    def _add(self, run: Run, rest: Matrix, *, words: bool = True) -> tuple[Ridge | None, Matrix]:
        evidence, labelled = self.evidence, self.labelled
        if len(labelled) < FEW:
            return None, np.zeros_like(rest)
        raw = [evidence.after(run, labelled, agree=self.agree), evidence.one_hot]
        if words and not run and len(labelled) >= MANY:
            raw.append(evidence.words)
        known = [each[labelled] for each in raw]
        blocks = [(Block.sparse if i else Block.dense)(each) for i, each in enumerate(known)]
        ridge = fit(known, blocks, rest[labelled])
        added = ridge.predict(raw)
        added[labelled] = ridge.left_out
        return ridge, added

    def _by_class(self, targets: Matrix) -> tuple[ClassMeans, Matrix]:
        classes = self._table.classes
        means = ClassMeans.fit(
            classes[self.labelled], len(self._table.groups), targets[self.labelled]
        )
        spread = means.table[classes]
        spread[self.labelled] = means.left_out
        return means, spread


def gains(score: Matrix) -> Matrix:
    """The first column, and the difference of every other to it."""
    return np.hstack([score[:, :1], score[:, 1:] - score[:, :1]])


def levels(gain: Matrix) -> Matrix:
    """Undo `gains`."""
    return np.hstack([gain[:, :1], gain[:, 1:] + gain[:, :1]])
