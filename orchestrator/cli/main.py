"""The command line: parse, call one function, set the exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli import (
    bench,
    demo,
    doctor,
    init,
    ledger,
    memo,
    policy,
    prices,
    replay,
    report,
    routing,
    run,
    task,
)
from orchestrator.cli.output import FAILED, MISTAKEN
from orchestrator.core.errors import Fenced, OrchestratorError
from orchestrator.version import __version__

HELP = "Run agents that spend money: budgets that hold, halts that resume, every cent known."
EXIT_CODES = (
    "Exit codes: 0 done; 1 a task failed; 2 the command, the policy or the store is wrong; "
    "3 a task halted and can be resumed; 130 interrupted."
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=HELP,
    epilog=EXIT_CODES,
)
app.command()(demo.demo)
app.command()(init.init)
app.command()(doctor.doctor)
app.command()(run.run)
app.add_typer(task.app, name="task")
app.add_typer(report.app, name="report")
app.add_typer(routing.app, name="routing")
app.add_typer(ledger.app, name="ledger")
app.add_typer(policy.app, name="policy")
app.add_typer(prices.app, name="prices")
app.add_typer(memo.app, name="memo")
app.add_typer(bench.app, name="bench")
app.command()(replay.replay)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(help=HELP, epilog=EXIT_CODES)
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Only ``--version`` stands before a command."""


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code."""
    try:
        app()
    except OrchestratorError as error:
        typer.echo(f"orchestrator: {error}", err=True)
        sys.exit(FAILED if isinstance(error, Fenced) else MISTAKEN)


if __name__ == "__main__":
    main()
