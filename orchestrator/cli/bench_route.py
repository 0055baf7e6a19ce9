"""``orchestrator bench route``: what routing between recorded models costs and buys."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.bench.route.setup import Setup, TableError, Target

CHECKS = ("agreement", "arithmetic", "form")
"""What can be checked of recorded replies. All but agreement need one reply and are always made."""
EXTRA = ("numpy", "threadpoolctl")
"""What the extra `bench` installs, which this command alone needs."""

_HEADLINES = (
    ("apgr", "gap recovered on average (APGR)"),
    ("cpt50", "strong calls for half of the gap (CPT50)"),
    ("cpt80", "strong calls for 80 % of the gap (CPT80)"),
    ("aiq", "mean quality of the hull (AIQ)"),
    ("auc", "mean quality of the curve (AUC)"),
    ("ece_debiased", "calibration error, debiased"),
    ("ece_floor", "  the same of a perfect predictor"),
    ("brier_skill", "Brier skill over the best constant"),
    ("quality", "quality at the operating point"),
    ("cost_usd", "cost per question there, USD"),
    ("quality_less_best_single", "  quality less that of the best single model"),
    ("cost_over_best_single", "  cost over that of the best single model"),
    ("quality_less_random_mix", "  quality less that of a random mix at that cost"),
)


def route(
    table: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, gzip or plain.")],
    *,
    models: Annotated[str, typer.Option(help="WEAK,STRONG[,…]; without it, all models.")] = "",
    labels: Annotated[int, typer.Option(min=2, help="Questions whose scores are known.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Random draws of these.")] = 20,
    checks: Annotated[
        str, typer.Option(help="agreement,arithmetic,form: look at replies, and compare them.")
    ] = "",
    post_hoc: Annotated[bool, typer.Option("--post-hoc", help="Look at replies.")] = False,
    target: Annotated[Target, typer.Option(help="Where on the curve to report.")] = "balanced",
    json: Annotated[Path | None, typer.Option("--json", help="Where to write the report.")] = None,
) -> None:
    """Route recorded questions with a few of their scores known; report on all others."""
    try:
        from orchestrator.bench.route.report import bench_file
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        message = f"{error.name} is missing: pip install 'cost-aware-orchestrator[bench]'"
        raise TableError(message) from error
    asked = _listed(checks)
    setup = Setup(
        labels=labels,
        seeds=seeds,
        target=target,
        post_hoc=post_hoc or bool(asked),
        agree="agreement" in asked,
    )
    wrong = [
        f"--checks: no check {name!r} can be made of recorded replies; write {', '.join(CHECKS)}"
        for name in asked
        if name not in CHECKS
    ]
    with typer.progressbar(length=seeds, label="seeds", file=sys.stderr) as bar:
        report = bench_file(table, _listed(models), setup, lambda _: bar.update(1), wrong)
    if json is not None:
        json.write_text(dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    typer.echo(_table(report))


def _found(figure: dict[str, Any]) -> str:
    reason = f"({figure['reason']})" if "reason" in figure else ""
    if figure["mean"] is None:
        return f"{'-':>10}  {reason}"
    return f"{figure['mean']:10.4g}  [{figure['low']:.4g}, {figure['high']:.4g}] {reason}".rstrip()


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _table(report: dict[str, Any]) -> str:
    lines = [f"{report['questions']} questions, {report['classes']} classes, {report['setup']}"]
    if left_out := report["questions_left_out"]:
        lines.append(f"{left_out} questions left out: not all of the models answered them")
    if sources := report["cost_sources"]:
        lines.append(f"costs: {', '.join(sources)}")
    lines.append("")
    for name, title in _HEADLINES:
        lines.append(f"{title:48} {_found(report[name])}")
    lines += ["", f"{'':48} {'quality':>10}  USD per question"]
    rows: dict[str, Any] = report["baselines"]
    lines += [
        f"{name:48} {row['quality']:10.4f}  {row['cost_usd']:.6f}" for name, row in rows.items()
    ]
    certified, timing = report["certified"], report["decision_us"]
    lines += [
        "",
        f"certified at alpha {certified['alpha']}, delta {certified['delta']}",
        f"  in how many seeds: {certified['state']}",
        f"  coverage {certified['coverage']:.3f}, error {certified['error']:.3f}",
        f"one decision: p50 {timing['p50']:.0f} us, p99 {timing['p99']:.0f} us",
    ]
    return "\n".join(lines)
