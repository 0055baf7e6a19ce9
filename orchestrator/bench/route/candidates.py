"""Which models take part, judged on the labelled rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.routing.estimate.fitting import ClassMeans, Codes, Matrix
from orchestrator.routing.learning.cases import Cases
from orchestrator.routing.learning.evidence import Evidence

_LABELS_EACH = 50
"""Labels that each further candidate needs: many models on few labels reward luck."""
_PROBES = 3
_PAIR = 2
_CHEAP = 0.25
"""A probe costs at most this share of the best model: its reply is evidence first."""


def taking_part(
    evidence: Evidence, labelled: Codes, *, post_hoc: bool
) -> tuple[Evidence, tuple[int, ...]]:
    """The models that take part, and which of them are probes; two models keep their order."""
    table = evidence.table
    readable = post_hoc and any(any(replies) for replies in table.replies)
    if len(table.models) == _PAIR:
        return evidence, (0,) if readable else ()
    kept = sorted(shortlist(table, labelled), key=lambda m: float(table.cost[labelled, m].mean()))
    chosen = evidence.select(kept)
    return chosen, probes(chosen.table, labelled) if readable else ()


def watched_model(evidence: Evidence, labelled: Codes, asked: Sequence[int]) -> int:
    """The model whose reply is accepted or escalated: the best probe, or the first model."""
    quality = evidence.table.score[labelled].mean(axis=0)
    return max(asked or (0,), key=lambda model: float(quality[model]))


def shortlist(table: Cases, labelled: Codes) -> tuple[int, ...]:
    """The models worth routing to: none is better for less, then those best in some class."""
    score, cost = table.score[labelled], table.cost[labelled].mean(axis=0)
    quality = score.mean(axis=0)
    keep = [
        model
        for model in range(len(cost))
        if not np.any((cost <= cost[model]) & (quality > quality[model]))
        or cost[model] == cost.min()
    ]
    room = len(labelled) // _LABELS_EACH - len(keep)
    rest = [model for model in _by_use(table, labelled, score, cost) if model not in keep]
    return tuple(sorted({*keep, *_cheap(quality, cost), *rest[: max(0, room)]}))


def probes(table: Cases, labelled: Codes) -> tuple[int, ...]:
    """The best of the cheap models, whose replies and agreement are evidence for the others."""
    cost = table.cost[labelled].mean(axis=0)
    found = _cheap(table.score[labelled].mean(axis=0), cost)
    return tuple(sorted(found)) or (int(cost.argmin()),)


def _cheap(quality: Matrix, cost: Matrix) -> list[int]:
    cheap = np.flatnonzero(cost <= _CHEAP * cost[quality.argmax()])
    return [int(model) for model in sorted(cheap, key=lambda m: -quality[m])[:_PROBES]]


def _by_use(table: Cases, labelled: Codes, score: Matrix, cost: Matrix) -> list[int]:
    """Models by how often the class means would choose them, over all prices."""
    means = ClassMeans.fit(table.classes[labelled], len(table.groups), score).left_out
    used = np.zeros(len(cost))
    for price in np.geomspace(1e-2 / cost.max(), 1 / max(cost.min(), 1e-12), 30):
        used += np.bincount((means - price * cost).argmax(axis=1), minlength=len(cost))
    return [int(model) for model in np.argsort(-used, kind="stable") if used[model]]
