"""Fitted estimates as the plain numbers that decide at run time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from orchestrator.routing.estimate.calibration import Calibration
from orchestrator.routing.estimate.fitting import ClassMeans, Matrix, Ridge
from orchestrator.routing.estimate.served import Served
from orchestrator.routing.learning.estimates import Estimates, Run
from orchestrator.routing.router import Prospect, Router

_WORDS = 3
"""The position, counted from one, of the block of words."""


def export(
    estimates: Estimates, probes: Sequence[int], calibration: Calibration | None = None
) -> Router:
    """Make the router of these estimates.

    Args:
        estimates: Fitted on the labelled rows.
        probes: The models whose replies are looked at.
        calibration: From an estimate to a confidence.
    """
    table = estimates.evidence.table
    classes, outputs = len(table.groups), len(table.models)
    runs = [run for size in range(len(probes) + 1) for run in combinations(sorted(probes), size)]
    before = estimates.stage(())
    if before.means is None:
        message = "the stage before any reply starts from class means"
        raise AssertionError(message)
    return Router(
        models=table.models,
        classes={name: number for number, name in enumerate(table.groups)},
        before=served(before.means.table, before.ridge),
        after={
            run: served(np.zeros((classes + 1, outputs)), estimates.stage(run).ridge)
            for run in runs
            if run
        },
        prospects={
            (run, model): _prospect(estimates, run, model, classes)
            for run in runs
            for model in probes
            if model not in run
        },
        endings={model: estimates.evidence.endings(model, estimates.labelled) for model in probes},
        cost=_rows(estimates.costs.table),
        agree=estimates.agree,
        calibration=calibration or Calibration(),
    )


def _prospect(estimates: Estimates, run: Run, model: int, classes: int) -> Prospect:
    prospect = estimates.prospect(run, model)
    return Prospect(served(np.zeros((classes + 1, 1)), prospect.ridge), _column(prospect.errors))


def served(base: Matrix, ridge: Ridge | None) -> Served:
    """Fold the class of a case, and the centre of its words, into the base."""
    if ridge is None:
        return Served(_rows(base))
    dense, groups, *rest = ridge.blocks
    ends = np.cumsum([len(block.centre) for block in ridge.blocks])
    mine, theirs, words = np.split(ridge.weights, ends[:2])
    known = np.vstack([np.eye(len(groups.centre)), groups.centre])
    base = base + groups.apply(known) @ theirs
    text: tuple[tuple[float, ...], ...] = ()
    if len(ridge.blocks) == _WORDS and np.any(words):
        block = rest[0]
        base = base - (block.centre / block.scale) @ words
        text = _rows((words / block.scale[:, None]).T)
    return Served(
        base=_rows(base),
        centre=tuple(map(float, dense.centre)),
        scale=tuple(map(float, 1 / dense.scale)),
        limit=dense.limit,
        dense=_rows(mine.T),
        words=text,
    )


def _rows(matrix: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in matrix)


def _column(means: ClassMeans) -> tuple[float, ...]:
    return tuple(map(float, means.table[:, 0]))
