"""``orchestrator demo``: the runtime at work, on simulated or on real models."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json, result_as_plain
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.bench.demo.show import Demo, DemoOptions
    from orchestrator.bench.suite import Sample
    from orchestrator.runtime.results import TaskResult


def demo(
    *,
    model: Annotated[
        str | None, typer.Option(help="A real, cheap model, as openai/gpt-5-nano; with --strong.")
    ] = None,
    strong: Annotated[str | None, typer.Option(help="A real, strong model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    store: Annotated[
        str | None,
        typer.Option(help="Keep the ledger under this URL; a temporary one unless given."),
    ] = None,
    latency_scale: Annotated[
        float, typer.Option(min=0, help="How much of the recorded waiting to replay.")
    ] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Run an agent of three steps over a suite of questions, and show what its policy bought.

    Without options the models are simulated: their replies were made by a script and are served
    over HTTP by this process. With --model and --strong, and a key in the environment, the same
    demo asks real models and spends real money, under the same budgets.
    """
    if (model is None) != (strong is None):
        message = "--model and --strong go together"
        raise typer.BadParameter(message)
    from orchestrator.bench.demo.show import DemoOptions

    with tempfile.TemporaryDirectory(prefix="orchestrator-demo-") as folder:
        options = DemoOptions(
            real=None if model is None or strong is None else (model, strong),
            limit=limit,
            store=store or f"sqlite:///{folder}/ledger.db",
            latency_scale=latency_scale,
        )
        demo = _run(options, Path(folder), quiet=as_json)
    if as_json:
        _print_json(demo)
    else:
        _print(demo)


def _run(options: DemoOptions, folder: Path, *, quiet: bool) -> Demo:
    """Run the demo under a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from orchestrator.bench.demo.show import run_demo

    console = Console(stderr=True, quiet=quiet)
    if options.real is None:
        console.print("The models of this demo are SIMULATED: a script wrote their replies.")
    columns = (
        TextColumn("tasks"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("spent {task.fields[spent]}"),
    )
    spent = Money.ZERO
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("tasks", total=None, spent=str(spent))

        def start(tasks: int) -> None:
            progress.update(bar, total=tasks)

        def advance(_: Sample, result: TaskResult) -> None:
            nonlocal spent
            spent += result.cost.total
            progress.update(bar, advance=1, spent=str(spent))

        return asyncio.run(run_demo(options, folder, on_start=start, on_result=advance))


def _print(demo: Demo) -> None:
    from rich.console import Console

    from orchestrator.bench.table import to_rich

    Console().print(to_rich([demo.run], demo.baselines))
    halted, resumed = demo.halted, demo.resumed
    if halted.halt is not None:
        typer.echo(f"One task with too little money: {halted.status} after {halted.cost.total}.")
        typer.echo(f"  {halted.halt.detail}")
        typer.echo(
            f"  Resumed with more: {resumed.status}, {resumed.cost.total} in all; "
            f"{len(halted.attempts)} of {len(resumed.attempts)} model calls were paid before "
            "and not again."
        )
    if demo.billed is not None:
        same = "the same" if demo.billed == demo.ledger else f"NOT the same: {demo.billed}"
        typer.echo(f"Ledger: {demo.ledger}. The simulated provider's own bill: {same}.")
    typer.echo(
        f"Confidence is {resumed.confidence_state}: the share of checks passed, "
        "not a probability of being right."
    )


def _print_json(demo: Demo) -> None:
    from orchestrator.bench.table import to_json

    print_json(
        to_json([demo.run], demo.baselines)
        | {
            "halted": result_as_plain(demo.halted),
            "resumed": result_as_plain(demo.resumed),
            "ledger_usd": demo.ledger,
            "billed_usd": demo.billed,
            "confidence_state": demo.resumed.confidence_state,
        }
    )
