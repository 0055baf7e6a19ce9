"""``orchestrator bench``: what policies cost, and what quality they buy."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.bench.records import Source
from orchestrator.cli.bench_from_ledger import from_ledger
from orchestrator.cli.bench_ledger import bench_ledger
from orchestrator.cli.bench_memo import bench_memo
from orchestrator.cli.bench_plan import plan
from orchestrator.cli.bench_report import report
from orchestrator.cli.bench_route import route
from orchestrator.cli.carry_out import check_graph
from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.bench.measure import Measured, Plan
    from orchestrator.policy.records import Policy
    from orchestrator.runtime.run.results import TaskResult

ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Tasks at once.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only so many questions.")]
BudgetOption = Annotated[
    str | None, typer.Option(metavar="USD", help="The most that all of it may cost.")
]
KeepOption = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Keep the ledgers here; the same command goes on."),
]
BaselinesOption = Annotated[bool, typer.Option(help="Ask each model alone too, and pay for it.")]

app = typer.Typer(no_args_is_help=True, help="Measure what policies cost and what they buy.")


@app.callback()
def options() -> None:
    """Measure what policies cost and what they buy."""


app.command("ledger")(bench_ledger)
app.command("memo")(bench_memo)
app.command()(route)
app.command()(plan)
app.command()(report)
app.command("from-ledger")(from_ledger)


@app.command()
def run(  # noqa: PLR0913 - each is an option of the command line
    suite: Annotated[
        str, typer.Argument(help="A .yaml, .jsonl, .csv or .csv.gz file of questions.")
    ],
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
    concurrency: ConcurrencyOption = 8,
    limit: LimitOption = None,
    budget: BudgetOption = None,
    keep: KeepOption = None,
    baselines: BaselinesOption = True,
    as_json: JsonOption = False,
) -> None:
    """Compare policies on a suite of questions.

    Every question is a task under each policy, and under each of their models alone: savings stand
    beside these baselines. This asks the models that the policies name and spends what they cost,
    under the policies' own budgets and --budget. Each policy has a ledger of its own, which is
    thrown away unless --keep names a directory: then an interrupted run goes on where it stopped.
    """
    from orchestrator.bench.measure import Plan, keeping
    from orchestrator.bench.run import SuiteJob
    from orchestrator.bench.scorers.table import SCORERS
    from orchestrator.bench.suite import read_suite
    from orchestrator.policy.load import load_policy

    judge = SCORERS.get(scorer)
    if judge is None:
        message = f"write one of {', '.join(SCORERS)}, not {scorer!r}"
        raise typer.BadParameter(message, param_hint="--scorer")
    left_out: list[int] = []
    samples = read_suite(suite, left_out.append)[:limit]
    if left_out:
        typer.echo(f"{len(left_out)} questions left out: no model answered them right.", err=True)
    # All are read before any of them spends.
    policies = {name: load_policy(path) for name, path in zip(_names(policy), policy, strict=True)}
    check_graph(graph, "--graph")
    job = SuiteJob(
        graph=graph,
        agent="bench",
        score=lambda sample, result: judge(_answer(result, answer_field), sample.answer),
        source=source,
        question_field=question_field,
        concurrency=concurrency,
    )
    with ExitStack() as stack:
        if as_json:
            stack.enter_context(redirect_stdout(sys.stderr))
        folder = keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-bench-"))
        )
        plan = Plan(
            suite=samples, job=job, folder=folder, budget=_amount(budget), baselines=baselines
        )
        found = _measure(policies, plan if keep is None else keeping(plan), quiet=as_json)
    _print(found, as_json=as_json)


def _amount(text: str | None) -> Money | None:
    try:
        return None if text is None else Money.from_usd(text.removesuffix("USD").strip())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--budget") from error


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


def _measure(policies: Mapping[str, Policy], plan: Plan, *, quiet: bool) -> Measured:
    """Run everything, each policy under a progress bar of its own."""
    from orchestrator.bench.measure import measure
    from orchestrator.cli.progress import task_bar

    with task_bar("", quiet=quiet) as bar:
        plan = replace(
            plan,
            on_start=lambda name: bar.start(len(plan.suite), name),
            on_result=bar.advance,
        )
        try:
            return asyncio.run(measure(policies, plan))
        except KeyboardInterrupt:
            goes_on = "The same command goes on; what was paid is not paid again."
            lost = "It cannot go on: with --keep it could."
            typer.echo(goes_on if plan.job.resumable else lost, err=True)
            raise


def _print(found: Measured, *, as_json: bool) -> None:
    from orchestrator.bench.measure import as_plain
    from orchestrator.bench.table import to_json, to_rich
    from orchestrator.cli.tables import print_table

    if as_json:
        print_json(to_json(found.runs, found.baselines) | as_plain(found))
        return
    print_table(to_rich(found.runs, found.baselines))
    plain = as_plain(found)
    for name, cost in plain["cost_per_success_usd"].items():
        typer.echo(f"{name}: {'no success' if cost is None else f'{cost} USD per success'}")
    for one in plain["differences"]:
        quality, cost = one["quality"], one["cost_usd_per_task"]
        typer.echo(
            f"{one['name']} less {one['less']}: quality {quality['mean']:+.3f} "
            f"[{quality['low']:+.3f}, {quality['high']:+.3f}], USD per task {cost['mean']:+.6f} "
            f"[{cost['low']:+.6f}, {cost['high']:+.6f}]"
        )
    if found.cut:
        typer.echo(
            f"The budget stopped {found.cut} tasks, so these figures are of no use: "
            "raise --budget; with --keep nothing is paid twice.",
            err=True,
        )
