"""``orchestrator bench plan``: what plans with a budget cost and reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json


def plan(
    *,
    traces: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Recorded runs of agents, CSV; repeatable."),
    ] = None,
    plans: Annotated[int, typer.Option(min=1, help="Simulated plans at each budget.")] = 1000,
    seed: Annotated[int, typer.Option(help="Which draw of them.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Spread one budget over the steps of a plan: simulated, and on recorded runs.

    Simulated: plans of eight steps with three models at price 1:4:20, under several rules and
    budgets. Recorded: what each budget and stop rule would have cost, and which share of the
    successful runs it would have kept. Nothing is asked of any model.
    """
    from orchestrator.bench.plan.experiment import BUDGETS
    from orchestrator.bench.plan.report import as_text, recorded, simulated

    tables = [recorded(path) for path in traces or ()]
    with typer.progressbar(
        length=len(BUDGETS), label="budgets", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        report = {"simulated": simulated(plans, seed, lambda: bar.update(1)), "recorded": tables}
    if as_json:
        print_json(report)
    else:
        typer.echo(as_text(report))
