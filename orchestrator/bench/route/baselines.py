"""What any policy must be compared with."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from orchestrator.bench.route.metrics import Point
from orchestrator.routing.estimate.fitting import Codes
from orchestrator.routing.learning.cases import Cases
from orchestrator.routing.learning.estimates import Estimates

Baseline = Literal[
    "all_cheapest",
    "all_strongest",
    "best_single",
    "cheapest_within_1pt",
    "random_mix",
    "fixed_threshold",
    "oracle",
]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

_WITHIN = 0.01
_FIXED = 0.8


def best_single(table: Cases, labelled: Codes) -> int:
    """The model with the best mean score on the labelled questions; of equals the cheapest."""
    quality, cost = table.score[labelled].mean(axis=0), table.cost[labelled].mean(axis=0)
    return int(np.lexsort((cost, -quality))[0])


def single(table: Cases, rows: Codes, model: int) -> Point:
    """Cost and quality of one model."""
    return float(table.cost[rows, model].mean()), float(table.score[rows, model].mean())


def baselines(table: Cases, labelled: Codes, rows: Codes, at_cost: float) -> dict[Baseline, Point]:
    """Cost and quality of the baselines that need no estimates; all choices on labelled rows.

    Args:
        table: All models that could be asked.
        labelled: The questions whose scores may be used to choose.
        rows: The questions to report on.
        at_cost: Where the random mix of the cheapest and the best model is taken.
    """
    quality, cost = table.score[labelled].mean(axis=0), table.cost[labelled].mean(axis=0)
    best, cheapest = best_single(table, labelled), int(cost.argmin())
    strongest = len(cost) - 1 if len(cost) == 2 else int(cost.argmax())  # noqa: PLR2004 - a pair has an order
    within = np.flatnonzero(quality >= quality[best] - _WITHIN)
    low, high = single(table, rows, cheapest), single(table, rows, best)
    return {
        "all_cheapest": low,
        "all_strongest": single(table, rows, strongest),
        "best_single": high,
        "cheapest_within_1pt": single(table, rows, int(within[cost[within].argmin()])),
        "random_mix": mixed(low, high, at_cost),
        "oracle": oracle(table, rows),
    }


def mixed(low: Point, high: Point, at_cost: float) -> Point:
    """Asking either of two models at random, as often as the cost allows."""
    share = 1.0 if high[0] <= low[0] else (at_cost - low[0]) / (high[0] - low[0])
    share = min(1.0, max(0.0, share))
    return low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1])


def oracle(table: Cases, rows: Codes) -> Point:
    """The cheapest of the models that score best, known beforehand for each question."""
    score, cost = table.score[rows], table.cost[rows]
    among = np.where(score == score.max(axis=1, keepdims=True), cost, np.inf)
    return float(among.min(axis=1).mean()), float(score.max(axis=1).mean())


def fixed_threshold(
    estimates: Estimates, rows: Codes, weak: int, strong: int, *, ask: bool
) -> Point:
    """The weak model where its confidence is at least .8, else the strong one.

    Args:
        estimates: Fitted on the labelled questions.
        rows: The questions to report on.
        weak: The model tried first.
        strong: The model escalated to.
        ask: Whether the confidence comes from the weak model's reply, which is then paid for.
    """
    table = estimates.evidence.table
    keep = estimates.quality((weak,) if ask else ())[rows, weak] >= _FIXED
    first, last = table.cost[rows, weak], table.cost[rows, strong]
    cost = np.where(keep, first, last + first if ask else last)
    score = np.where(keep, table.score[rows, weak], table.score[rows, strong])
    return float(cost.mean()), float(score.mean())
