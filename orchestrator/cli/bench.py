"""``orchestrator bench``: what policies cost, and what quality they buy."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json

if TYPE_CHECKING:
    from orchestrator.bench.records import PolicyRun
    from orchestrator.bench.run import SuiteJob
    from orchestrator.bench.suite import Sample

app = typer.Typer(no_args_is_help=True, help="What policies cost, and what quality they buy.")


@app.callback()
def options() -> None:
    """What policies cost, and what quality they buy."""


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A .yaml, .jsonl or .csv file of questions.")],
    *,
    policy: Annotated[list[str], typer.Option(help="A policy to measure; repeatable.")],
    graph: Annotated[str, typer.Option(metavar="MODULE:NAME", help="The agent.")],
    answer_field: Annotated[
        str, typer.Option(help="Where in the graph's output the answer stands.")
    ] = "answer",
    question_field: Annotated[
        str, typer.Option(help="Where in the graph's input the question goes.")
    ] = "question",
    scorer: Annotated[str, typer.Option(help="auto, number, exact or contains.")] = "auto",
    concurrency: Annotated[int, typer.Option(min=1, help="Tasks at once.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run every question of a suite as a task under each policy, and compare.

    It asks the models that the policies name and spends what they cost, under the policies' own
    budgets. Each policy has a ledger of its own, which is thrown away.
    """
    from orchestrator.bench.run import SuiteJob
    from orchestrator.bench.scorers.table import SCORERS
    from orchestrator.bench.suite import read_suite

    judge = SCORERS.get(scorer)
    if judge is None:
        message = f"--scorer is one of {', '.join(SCORERS)}, not {scorer!r}"
        raise typer.BadParameter(message)
    sys.path.insert(0, "")
    samples = read_suite(suite)[:limit]
    job = SuiteJob(
        graph=graph,
        agent="bench",
        score=lambda sample, result: judge(
            str((result.output or {}).get(answer_field, "")), sample.answer
        ),
        source="measured",
        question_field=question_field,
        concurrency=concurrency,
    )
    runs = [_run(path, samples, job, quiet=as_json) for path in policy]
    _print(runs, as_json=as_json)


def _run(policy: str, samples: tuple[Sample, ...], job: SuiteJob, *, quiet: bool) -> PolicyRun:
    """Run one policy under a progress bar."""
    from rich.console import Console
    from rich.progress import track

    from orchestrator.bench.run import run_suite
    from orchestrator.runtime.orchestrator import Orchestrator

    ticks = iter(
        track(
            range(len(samples)),
            description=policy,
            console=Console(stderr=True, quiet=quiet),
        )
    )

    async def measured() -> PolicyRun:
        with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
            store = f"sqlite:///{Path(folder) / 'ledger.db'}"
            async with Orchestrator.from_policy(policy, store=store) as orchestrator:
                figures, _ = await run_suite(
                    orchestrator, policy, samples, job, on_result=lambda *_: next(ticks, None)
                )
        return figures

    figures = asyncio.run(measured())
    next(ticks, None)
    return figures


def _print(runs: list[PolicyRun], *, as_json: bool) -> None:
    from rich.console import Console

    from orchestrator.bench.table import to_json, to_rich

    if as_json:
        print_json(to_json(runs))
    else:
        Console().print(to_rich(runs))
