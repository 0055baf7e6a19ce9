"""``orchestrator bench route``: what routing between recorded models costs and buys."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.bench.route.setup import Setup, TableError

CHECKS = ("agreement",)
"""Checks that look at more than one reply; what one reply shows is always looked at."""

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
    checks: Annotated[str, typer.Option(help="Further checks of replies: agreement.")] = "",
    post_hoc: Annotated[bool, typer.Option("--post-hoc", help="Look at replies.")] = False,
    target: Annotated[str, typer.Option(help="balanced or best_single.")] = "balanced",
    json: Annotated[Path | None, typer.Option("--json", help="Where to write the report.")] = None,
) -> None:
    """Route recorded questions with a few of their scores known; report on all others."""
    try:
        # numpy, which only this command needs, is an extra of its own.
        from orchestrator.bench.route.report import bench_file  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        typer.echo(
            f"{error.name} is missing: pip install 'cost-aware-orchestrator[bench]'", err=True
        )
        raise typer.Exit(2) from error
    asked = [name for name in checks.split(",") if name]
    if unknown := sorted(set(asked) - set(CHECKS)):
        message = f"no such check: {', '.join(unknown)}; there is {', '.join(CHECKS)}"
        raise typer.BadParameter(message, param_hint="--checks")
    if target not in ("balanced", "best_single"):
        message = f"{target} is neither balanced nor best_single"
        raise typer.BadParameter(message, param_hint="--target")
    setup = Setup(
        labels=labels,
        seeds=seeds,
        target="best_single" if target == "best_single" else "balanced",
        post_hoc=post_hoc or bool(asked),
        agree="agreement" in asked,
    )
    names = [name.strip() for name in models.split(",") if name.strip()]
    try:
        with typer.progressbar(length=seeds, label="seeds", file=sys.stderr) as bar:
            report = bench_file(table, names, setup, lambda _: bar.update(1))
    except TableError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if json is not None:
        json.write_text(dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    typer.echo(_table(report))


def _table(report: dict[str, Any]) -> str:
    lines = [f"{report['questions']} questions, {report['classes']} classes, {report['setup']}"]
    if sources := report["cost_sources"]:
        lines.append(f"costs: {', '.join(sources)}")
    lines.append("")
    for name, title in _HEADLINES:
        found = report[name]
        lines.append(f"{title:48} {found['mean']:10.4g}  [{found['low']:.4g}, {found['high']:.4g}]")
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
