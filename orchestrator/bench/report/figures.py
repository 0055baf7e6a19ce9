"""From what a benchmark wrote as JSON to what is drawn: one small record per picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestrator.core.errors import OrchestratorError

Point = tuple[float, float]


class ReportError(OrchestratorError):
    """What should be drawn is no report of a benchmark."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together; one point alone is drawn as a mark.

    Attributes:
        name: What it is called in the legend and the table.
        points: Where it goes; ascending in the first number.
        ours: Whether it is what is measured, and not what it stands beside.
    """

    name: str
    points: tuple[Point, ...]
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture.

    Attributes:
        title: What it shows.
        note: Where the numbers come from: simulated, estimated, recorded or measured.
        across: What the horizontal axis is.
        up: What the vertical axis is.
        lines: What is drawn.
    """

    title: str
    note: str
    across: str
    up: str
    lines: tuple[Line, ...]


def number(value: float) -> str:
    """Four digits, and no exponent: costs of one question are small."""
    return format(Decimal(f"{value:.4g}").normalize(), "f")


def read_figures(path: Path) -> list[Figure]:
    """Read the JSON of ``bench route``, ``bench run`` or ``bench plan``.

    Raises:
        ReportError: It is none of these.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: cannot be read as JSON: {error}"
        raise ReportError(message) from error
    try:
        if "curve" in report:
            return [_route(path.stem, report)]
        if "policies" in report:
            return [_run(path.stem, report)]
        if "simulated" in report:
            return [_plans(report["simulated"]), *map(_stopped, report["recorded"])]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        message = f"{path}: is not as the benchmark wrote it: {error!r}"
        raise ReportError(message) from error
    message = f"{path}: is no JSON of bench route, bench run or bench plan"
    raise ReportError(message)


def _route(name: str, report: Mapping[str, Any]) -> Figure:
    setup = report["setup"]
    curve = sorted((float(cost), float(quality)) for cost, quality in report["curve"])
    point = (report["cost_usd"]["mean"], report["quality"]["mean"])
    beside = [
        Line(baseline, ((row["cost_usd"], row["quality"]),))
        for baseline, row in report["baselines"].items()
    ]
    sources = ", ".join(report["cost_sources"]) or "unknown"
    return Figure(
        title=f"{name}: {report['questions']} questions, {len(report['models'])} models",
        note=f"{setup['labels']} labels, mean of {setup['seeds']} draws; costs: {sources}",
        across="USD per question",
        up="quality",
        lines=(
            Line("all prices of quality", tuple(curve), ours=True),
            Line("operating point", (point,), ours=True),
            *beside,
        ),
    )


def _run(name: str, report: Mapping[str, Any]) -> Figure:
    def line(row: Mapping[str, Any], *, ours: bool) -> Line:
        cost = float(row["cost_usd"]) / max(1, row["tasks"])
        return Line(row["name"], ((cost, row["quality"]),), ours)

    policies, baselines = report["policies"], report["baselines"]
    sources = sorted({row["source"] for row in (*policies, *baselines)})
    return Figure(
        title=f"{name}: {policies[0]['tasks']} tasks",
        note=f"{', '.join(sources)} numbers",
        across="USD per task",
        up="quality",
        lines=(
            *(line(row, ours=True) for row in policies),
            *(line(row, ours=False) for row in baselines),
        ),
    )


def _plans(report: Mapping[str, Any]) -> Figure:
    return Figure(
        title=f"Plans of {report['steps']} steps under one budget",
        note=f"simulated: {report['plans']} plans, seed {report['seed']}",
        across=f"budget (all-cheapest costs {report['all_cheapest_cost']:g})",
        up="plans that succeeded",
        lines=tuple(
            Line(rule, tuple(points), ours=rule == "plan")
            for rule, points in _grouped(report["rules"], "budget", "success").items()
        ),
    )


def _stopped(report: Mapping[str, Any]) -> Figure:
    def kind(rule: str) -> str:
        return rule.partition(", quantile")[0]

    rules = [{**row, "rule": kind(row["rule"])} for row in report["rules"]]
    return Figure(
        title=f"{report['table']}: {report['runs']} runs, {report['successes']} successful",
        note="recorded; a run that a rule stops has failed; learned rules on other tasks",
        across="share of the cost",
        up="successful runs kept",
        lines=tuple(
            Line(rule, tuple(points), ours=" of " in rule)
            for rule, points in _grouped(rules, "cost_share", "kept").items()
        ),
    )


def _grouped(
    rows: Sequence[Mapping[str, Any]], across: str, up: str
) -> Mapping[str, Sequence[Point]]:
    found: dict[str, list[Point]] = {}
    for row in rows:
        found.setdefault(row["rule"], []).append((row[across], row[up]))
    return {rule: sorted(points) for rule, points in found.items()}
