"""The choice of `routing.cascade`, for all questions and prices of a table at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.bench.route.metrics import Point
from orchestrator.routing.cascade import excess_table
from orchestrator.routing.estimate.fitting import Codes, Matrix
from orchestrator.routing.learning.estimates import Estimates, Run

_POINTS, _EXCESS = (np.array(column) for column in excess_table())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy did on some questions.

    Attributes:
        score: What the returned reply scored, per question.
        cost: What all replies asked for cost, per question.
        returned: The model whose reply was returned.
        calls: How many questions each model was asked, one per model.
        confidence: What the reply returned was expected to score.
    """

    score: Matrix
    cost: Matrix
    returned: Codes
    calls: Codes
    confidence: Matrix

    @property
    def point(self) -> Point:
        """Mean cost and mean quality."""
        return float(self.cost.mean()), float(self.score.mean())


def follow(
    estimates: Estimates, probes: Sequence[int], rows: Codes, quality_per_cost: float
) -> Outcome:
    """Route the questions at a price of quality.

    Args:
        estimates: Fitted on the labelled rows.
        probes: Models whose replies are checked; the reply of any other is returned unseen.
        rows: The questions.
        quality_per_cost: The price; 0: quality at any cost.
    """
    table = estimates.evidence.table
    state: dict[Run, Codes] = {(): rows}
    returned = np.full(len(table), -1)
    confidence, cost = np.zeros(len(table)), np.zeros(len(table))
    calls = np.zeros(len(table.models), dtype=np.int64)
    while state:
        run = min(state, key=len)
        here = state.pop(run)
        quality = estimates.quality(run)[here]
        values = _reservations(estimates, run, probes, here, quality_per_cost)
        asked = values.argmax(axis=1)
        if run:
            best = np.array(run)[quality[:, run].argmax(axis=1)]
            held = np.take_along_axis(quality, best[:, None], axis=1)[:, 0]
            stop = held >= values.max(axis=1)
            returned[here[stop]], confidence[here[stop]] = best[stop], held[stop]
            here, asked, quality = here[~stop], asked[~stop], quality[~stop]
        for model in np.unique(asked):
            chosen = here[asked == model]
            cost[chosen] += table.cost[chosen, model]
            calls[model] += len(chosen)
            if model in probes:
                after = tuple(sorted((*run, int(model))))
                state[after] = np.concatenate([state.get(after, chosen[:0]), chosen])
            else:
                returned[chosen], confidence[chosen] = model, quality[asked == model, model]
    return Outcome(
        table.score[rows, returned[rows]], cost[rows], returned[rows], calls, confidence[rows]
    )


def _reservations(
    estimates: Estimates, run: Run, probes: Sequence[int], rows: Codes, quality_per_cost: float
) -> Matrix:
    toll = quality_per_cost * estimates.cost[rows]
    values = estimates.quality(run)[rows] - toll
    for model in set(probes) - set(run):
        prospect = estimates.prospect(run, model)
        mean, spread = prospect.mean[rows], prospect.spread[rows]
        excess = toll[:, model] / spread
        u = np.where(excess >= _EXCESS[-1], excess, np.interp(excess, _EXCESS, _POINTS))
        values[:, model] = np.maximum(values[:, model], mean - spread * u)
    values[:, list(run)] = -np.inf
    return values


def prices(estimates: Estimates, count: int = 40) -> Matrix:
    """Prices from quality at any cost to the cheapest at any quality, in equal ratios."""
    cost = estimates.cost.mean(axis=0)
    unit = 1 / max(float(cost.max() - cost.min()), 1e-12)
    least = 1 / max(float(cost.min()), 1e-12)
    return np.concatenate([[0.0], np.geomspace(unit * 1e-3, max(least, unit * 10), count)])
