"""``orchestrator demo``: the runtime at work, on simulated or on real models."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import JsonOption, PriceOption, prices
from orchestrator.cli.output import in_lines, print_json, result_as_plain

if TYPE_CHECKING:
    from orchestrator.bench.demo.show import Demo, DemoOptions, RealModels

SIMULATED = (
    "The models of this demo are SIMULATED: a script wrote their replies, no money is spent."
)


def demo(
    *,
    model: Annotated[
        str | None, typer.Option(help="A real, cheap model, as openai/gpt-5-nano; with --strong.")
    ] = None,
    strong: Annotated[str | None, typer.Option(help="A real, strong model.")] = None,
    api_base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask an OpenAI-compatible server for --model, --strong."),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The environment variable with its key, if it has one."),
    ] = None,
    price: PriceOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Keep the ledger under this URL; a temporary one unless given."
        ),
    ] = None,
    latency_scale: Annotated[
        float, typer.Option(min=0, help="How much of the recorded waiting to replay.")
    ] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Show the runtime at work on simulated models.

    An agent of three steps answers the questions of a suite, beside what simple rules would have
    cost and bought; then one task is halted by its budget and resumed.

    Without options the models are simulated: their replies were made by a script and are served
    over HTTP by this process. With --model and --strong, and a key in the environment, the same
    demo asks real models and spends real money, at most 5 USD.
    """
    real = _real_models(model, strong, api_base, api_key_env, price)
    from orchestrator.bench.demo.show import DemoOptions

    with tempfile.TemporaryDirectory(prefix="orchestrator-demo-") as folder:
        options = DemoOptions(
            store=store or f"sqlite:///{folder}/ledger.db",
            real=real,
            limit=limit,
            latency_scale=latency_scale,
        )
        shown = _run(options, Path(folder), quiet=as_json)
    if as_json:
        _print_json(shown)
    else:
        _print(shown)


def _real_models(
    model: str | None,
    strong: str | None,
    api_base: str | None,
    api_key_env: str | None,
    price: list[str] | None,
) -> RealModels | None:
    if model is not None and strong is not None:
        from orchestrator.bench.demo.show import RealModels

        try:
            known = prices(price)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        return RealModels(
            small=model, strong=strong, api_base=api_base, api_key_env=api_key_env, prices=known
        )
    if any((model, strong, api_base, api_key_env, price)):
        message = (
            "real models are asked with both --model and --strong; "
            "--api-base, --api-key-env and --price belong to them"
        )
        raise typer.BadParameter(message)
    return None


def _run(options: DemoOptions, folder: Path, *, quiet: bool) -> Demo:
    """Run the demo under a progress bar."""
    from orchestrator.bench.demo.show import run_demo
    from orchestrator.cli.progress import task_bar

    if options.real is None and not quiet:
        typer.echo(SIMULATED, err=True)
    with task_bar("demo", quiet=quiet) as bar:
        return asyncio.run(run_demo(options, folder, on_start=bar.start, on_result=bar.advance))


def _print(demo: Demo) -> None:
    from orchestrator.bench.table import to_rich
    from orchestrator.cli.tables import print_table

    print_table(to_rich([demo.run], demo.baselines))
    halted, resumed = demo.halted, demo.resumed
    typer.echo(f"\nOne task with too little money: {halted.status} after {halted.cost.total}.")
    if halted.halt is not None:
        typer.echo(in_lines(halted.halt.detail))
        typer.echo(f"With {demo.added} more: {resumed.status}, {resumed.cost.total} in all.")
        typer.echo(
            f"  Attempts: {len(halted.attempts)} before the halt, {len(resumed.attempts)} in "
            "all; none was paid twice."
        )
    if demo.billed is None:
        typer.echo(f"Ledger: {demo.ledger}.")
    else:
        same = "the same" if demo.billed == demo.ledger else f"NOT the same: {demo.billed}"
        typer.echo(f"Ledger: {demo.ledger}, simulated. The simulated provider's own bill: {same}.")
    confidence = (
        f"Confidence is {resumed.confidence_state}: the share of checks passed, "
        "not a probability of being right."
    )
    typer.echo(in_lines(confidence, indent=""))


def _print_json(demo: Demo) -> None:
    from orchestrator.bench.table import to_json

    print_json(
        to_json([demo.run], demo.baselines)
        | {
            "halted": result_as_plain(demo.halted),
            "resumed": result_as_plain(demo.resumed),
            "ledger_usd": demo.ledger,
            "billed_usd": demo.billed,
            "source": demo.run.source,
            "confidence_state": demo.resumed.confidence_state,
        }
    )
