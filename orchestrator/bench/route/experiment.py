"""One seed: draw the labelled questions, fit, choose on them, measure on all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.bench.route import metrics
from orchestrator.bench.route.baselines import (
    Baseline,
    baselines,
    best_single,
    fixed_threshold,
    single,
)
from orchestrator.bench.route.candidates import taking_part, watched_model
from orchestrator.bench.route.certified import Certified, certified
from orchestrator.bench.route.metrics import Point
from orchestrator.bench.route.operating import balance, reach
from orchestrator.bench.route.policy import follow, prices
from orchestrator.bench.route.setup import Setup
from orchestrator.bench.route.timing import decision_us
from orchestrator.routing.certificate import CALIBRATED_FROM
from orchestrator.routing.estimate.calibration import Calibration, in_levels
from orchestrator.routing.estimate.calibration import fit as calibrate
from orchestrator.routing.estimate.fitting import Codes, Matrix
from orchestrator.routing.learning.estimates import Estimates
from orchestrator.routing.learning.evidence import Evidence
from orchestrator.routing.learning.export import export

TWO = 2
GAP_FIGURES = ("apgr", "cpt50", "cpt80")
"""What is a share of the gap between two models, and means nothing where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one seed gave; `figures` by the names of the report, `None` where one has no meaning."""

    figures: Mapping[str, float | None]
    calls: Mapping[str, float]
    curve: Sequence[Point]
    baselines: Mapping[Baseline, Point]
    certified: Certified
    decision_us: Mapping[str, float]


def run_seed(evidence: Evidence, setup: Setup, seed: int) -> Result:
    """Run one seed.

    Args:
        evidence: The table with its features.
        setup: What is asked.
        seed: Which draw.

    Returns:
        The result; how long decisions take is measured for the first seed only.
    """
    table = evidence.table
    order = np.random.default_rng(seed).permutation(len(table))
    drawn, rows = order[: setup.labels], np.sort(order[setup.labels :])
    labelled = np.sort(drawn)
    chosen, asked = taking_part(evidence, labelled, post_hoc=setup.post_hoc)
    estimates = Estimates(chosen, labelled, agree=setup.agree)

    grid = prices(estimates)
    known = [follow(estimates, asked, labelled, price) for price in grid]
    new = [follow(estimates, asked, rows, price) for price in grid]
    best = best_single(chosen.table, labelled)
    cheapest = int(chosen.table.cost[labelled].mean(axis=0).argmin())
    if setup.target == "best_single":
        point = reach(known, chosen.table.score[labelled, best])
    else:
        ends = (
            (float(chosen.table.cost[labelled, m].mean()), chosen.table.score[labelled, m])
            for m in (cheapest, best)
        )
        point = balance(known, *ends)

    score, cost = point.mix([o.score for o in new]), point.mix([o.cost for o in new])
    calls = point.mix([o.calls / len(rows) for o in new])
    run, watched = tuple(asked), watched_model(chosen, labelled, asked)
    estimate, outcome = estimates.quality(run)[:, watched], chosen.table.score[:, watched]
    calibration = _calibration(estimate[labelled], outcome[labelled])
    confidence = np.array([calibration(float(each)) for each in estimate[rows]])
    beside = baselines(table, labelled, rows, float(cost.mean()))
    beside["fixed_threshold"] = fixed_threshold(estimates, rows, cheapest, best, ask=bool(asked))
    curve = [outcome.point for outcome in new]
    dearest = int(chosen.table.cost[labelled].mean(axis=0).argmax())
    span = [float(chosen.table.cost[rows, model].mean()) for model in (cheapest, dearest)]
    timing: dict[str, float] = {}
    if seed == 0:
        router = export(estimates, asked, calibration)
        timing = decision_us(router, chosen.table, asked, float(grid[point.nearer]))
    return Result(
        figures={
            **_recovered(estimates, rows, asked, curve, (cheapest, best)),
            "aiq": metrics.aiq(curve, span[0], span[1]),
            "auc": metrics.area(curve, span[0], span[1]),
            "ece_debiased": metrics.ece_debiased(confidence, outcome[rows]),
            "ece_floor": metrics.ece_floor(confidence, seed),
            "brier_skill": metrics.brier_skill(confidence, outcome[rows]),
            "quality": float(score.mean()),
            "cost_usd": float(cost.mean()),
            "quality_less_best_single": float(score.mean()) - beside["best_single"][1],
            "cost_over_best_single": _ratio(float(cost.mean()), beside["best_single"][0]),
            "quality_less_random_mix": float(score.mean()) - beside["random_mix"][1],
        },
        calls=dict(zip(chosen.table.models, map(float, calls), strict=True)),
        curve=curve,
        baselines=beside,
        certified=certified(evidence, drawn, rows, setup),
        decision_us=timing,
    )


def _ratio(cost: float, reference: float) -> float:
    """One cost over another; 1 where nothing costs anything."""
    return cost / reference if reference > 0 else 1.0


def _recovered(
    estimates: Estimates,
    rows: Codes,
    asked: Sequence[int],
    curve: Sequence[Point],
    ends: tuple[int, int],
) -> dict[str, float | None]:
    """APGR and CPT: over calls of the strong model for two models, else over cost.

    `None` for each if there is no gap between the two models compared on these questions.
    """
    table = estimates.evidence.table
    (low, weak), (high, strong) = (single(table, rows, model) for model in ends)
    if len(table.models) == TWO:
        quality = estimates.quality(tuple(asked))[rows]
        scores = table.score[rows]
        found = metrics.recovered(quality[:, 1] - quality[:, 0], scores[:, 0], scores[:, 1])
        if found is None:
            return dict.fromkeys(GAP_FIGURES)
        calls, bought = found
    elif high <= low or strong <= weak:
        return dict.fromkeys(GAP_FIGURES)
    else:
        inside = [p for p in metrics.hull(curve) if low <= p[0] <= high]
        points = np.array([(low, weak), *inside, (high, max([strong, *(q for _, q in inside)]))])
        calls = (points[:, 0] - low) / (high - low)
        bought = (points[:, 1] - weak) / (strong - weak)
    return {
        "apgr": metrics.apgr(calls, bought),
        "cpt50": metrics.cpt(calls, bought, 0.5),
        "cpt80": metrics.cpt(calls, bought, 0.8),
    }


def _calibration(confidence: Matrix, score: Matrix) -> Calibration:
    if len(confidence) < CALIBRATED_FROM:
        return Calibration()
    scores = [float(each) for each in confidence]
    return in_levels(calibrate(scores, [float(each) for each in score]), scores)
