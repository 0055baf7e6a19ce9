"""``orchestrator report``: what was spent, by whom and on what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import plain, print_json

if TYPE_CHECKING:
    from orchestrator.ledger.reading import Total

app = typer.Typer(no_args_is_help=True, help="What was spent, by whom and on what.")


@app.callback()
def options() -> None:
    """What was spent, by whom and on what."""


@app.command()
def cost(
    *,
    by: Annotated[
        str,
        typer.Option(help="Any of org, team, agent, user, tenant, task, step, model; by commas."),
    ] = "team,agent,step,model",
    since: Annotated[datetime | None, typer.Option(help="First moment, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Moment after the last, UTC.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cost by the dimensions you name, with what is known, estimated and in doubt apart."""
    from orchestrator.reports.cost import cost_by, dimensions, in_utc

    try:
        wanted = dimensions(by)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--by") from error
    totals = cost_by(store or DEFAULT_STORE, wanted, since=in_utc(since), until=in_utc(until))
    if as_json:
        print_json([_plain(wanted, total) for total in totals])
        return
    _print_table(wanted, totals)


def _plain(wanted: tuple[str, ...], total: Total) -> dict[str, object]:
    return dict(zip(wanted, total.group, strict=True)) | {
        "attempts": total.attempts,
        "cost_usd": plain(total.cost),
        "known_usd": plain(total.known),
        "estimated_usd": plain(total.estimated),
        "in_doubt_usd": plain(total.unknown),
        "in_doubt": total.unknown_attempts,
        "overrun_usd": plain(total.overrun),
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
    }


def _print_table(wanted: tuple[str, ...], totals: list[Total]) -> None:
    from rich.console import Console
    from rich.table import Table

    from orchestrator.core.money import Money

    table = Table(*wanted)
    for heading in ("calls", "tokens in", "tokens out", "known", "estimated", "in doubt", "cost"):
        table.add_column(heading, justify="right")
    for total in totals:
        table.add_row(
            *(value or "-" for value in total.group),
            str(total.attempts),
            f"{total.input_tokens:,}",
            f"{total.output_tokens:,}",
            str(total.known),
            str(total.estimated),
            str(total.unknown),
            str(total.cost),
        )
    table.add_section()
    whole = sum((total.cost for total in totals), Money.ZERO)
    calls = sum(total.attempts for total in totals)
    table.add_row("all", *[""] * (len(wanted) - 1), str(calls), *[""] * 5, str(whole))
    Console().print(table)
