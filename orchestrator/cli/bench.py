"""``orchestrator bench``: what policies cost, and what quality they buy."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.bench.records import Source
from orchestrator.cli.bench_ledger import bench_ledger
from orchestrator.cli.bench_memo import bench_memo
from orchestrator.cli.bench_plan import plan
from orchestrator.cli.bench_route import route
from orchestrator.cli.carry_out import check_graph
from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json

if TYPE_CHECKING:
    from orchestrator.bench.records import PolicyRun
    from orchestrator.bench.run import SuiteJob
    from orchestrator.bench.suite import Sample
    from orchestrator.policy.records import Policy
    from orchestrator.runtime.results import TaskResult

app = typer.Typer(no_args_is_help=True, help="Measure what policies cost and what they buy.")


@app.callback()
def options() -> None:
    """Measure what policies cost and what they buy."""


app.command("ledger")(bench_ledger)
app.command("memo")(bench_memo)
app.command()(route)
app.command()(plan)


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A .yaml, .jsonl or .csv file of questions.")],
    *,
    policy: Annotated[
        list[str], typer.Option(metavar="PATH", help="A policy to measure; repeatable.")
    ],
    graph: Annotated[str, typer.Option(metavar="MODULE:NAME", help="The agent.")],
    answer_field: Annotated[
        str, typer.Option(help="Where in the graph's output the answer stands.")
    ] = "answer",
    question_field: Annotated[
        str, typer.Option(help="Where in the graph's input the question goes.")
    ] = "question",
    scorer: Annotated[str, typer.Option(help="auto, number, exact or contains.")] = "auto",
    source: Annotated[
        Source, typer.Option(help="Where the numbers come from; said in the table.")
    ] = "measured",
    concurrency: Annotated[int, typer.Option(min=1, help="Tasks at once.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare policies on a suite of questions.

    Every question is a task under each policy. This asks the models that the policies name and
    spends what they cost, under the policies' own budgets. Each policy has a ledger of its own,
    which is thrown away.
    """
    from orchestrator.bench.run import SuiteJob
    from orchestrator.bench.scorers.table import SCORERS
    from orchestrator.bench.suite import read_suite
    from orchestrator.policy.load import load_policy

    judge = SCORERS.get(scorer)
    if judge is None:
        message = f"write one of {', '.join(SCORERS)}, not {scorer!r}"
        raise typer.BadParameter(message, param_hint="--scorer")
    samples = read_suite(suite)[:limit]
    policies = [load_policy(path) for path in policy]  # before any of them spends
    check_graph(graph, "--graph")
    job = SuiteJob(
        graph=graph,
        agent="bench",
        score=lambda sample, result: judge(_answer(result, answer_field), sample.answer),
        source=source,
        question_field=question_field,
        concurrency=concurrency,
    )
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        runs = [
            _run(one, name, samples, job, quiet=as_json)
            for one, name in zip(policies, _names(policy), strict=True)
        ]
    _print(runs, as_json=as_json)


def _answer(result: TaskResult, field: str) -> str:
    """What a task answered; nothing if it did not complete.

    Raises:
        BadParameter: If the output has no such field, which is no wrong answer but a wrong option.
    """
    if result.output is None:
        return ""
    if not isinstance(result.output, Mapping) or field not in result.output:
        fields = ", ".join(result.output) if isinstance(result.output, Mapping) else "no fields"
        message = f"the graph's output has no {field!r} but {fields}; name one of these"
        raise typer.BadParameter(message, param_hint="--answer-field")
    return str(result.output[field])


def _names(paths: Sequence[str]) -> Sequence[str]:
    """What the policies are called in the table: their file names, if these tell them apart."""
    stems = [Path(path).stem for path in paths]
    return stems if len(set(stems)) == len(stems) else paths


def _run(
    policy: Policy, name: str, samples: Sequence[Sample], job: SuiteJob, *, quiet: bool
) -> PolicyRun:
    """Run one policy under a progress bar."""
    from orchestrator.bench.run import run_suite
    from orchestrator.cli.progress import task_bar
    from orchestrator.runtime.orchestrator import Orchestrator

    async def measured() -> PolicyRun:
        with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
            store = f"sqlite:///{Path(folder) / 'ledger.db'}"
            async with Orchestrator(policy, store=store) as orchestrator:
                figures, _ = await run_suite(
                    orchestrator, name, samples, job, on_result=bar.advance
                )
        return figures

    with task_bar(name, quiet=quiet) as bar:
        bar.start(len(samples))
        return asyncio.run(measured())


def _print(runs: Sequence[PolicyRun], *, as_json: bool) -> None:
    from orchestrator.bench.table import to_json, to_rich
    from orchestrator.cli.tables import print_table

    if as_json:
        print_json(to_json(runs))
    else:
        print_table(to_rich(runs))
