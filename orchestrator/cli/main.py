"""The command line: parse, call one function, set the exit code.

Exit codes: 0 done, 1 a task failed, 2 the command or a policy is wrong, 3 a task halted and can be
resumed, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli import bench, demo, policy, replay, report, run, task
from orchestrator.core.errors import OrchestratorError
from orchestrator.version import __version__

MISTAKEN = 2
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Run agents that spend money: budgets that hold, halts that resume, every cent known.",
)
app.command()(demo.demo)
app.command()(run.run)
app.add_typer(task.app, name="task")
app.add_typer(report.app, name="report")
app.add_typer(policy.app, name="policy")
app.add_typer(bench.app, name="bench")
app.command()(replay.replay)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Run agents that spend money: budgets that hold, halts that resume, every cent known."""


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code."""
    try:
        app()
    except OrchestratorError as error:
        typer.echo(f"orchestrator: {error}", err=True)
        sys.exit(MISTAKEN)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
