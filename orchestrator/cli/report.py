"""``orchestrator report``: what was spent, by whom and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import print_json
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.ledger.stores.reading import Total
    from orchestrator.pricing.currency import Rate

COUNTS = ("attempts", "input_tokens", "output_tokens")

app = typer.Typer(no_args_is_help=True, help="What was spent, by whom and on what.")


@app.callback()
def options() -> None:
    """What was spent, by whom and on what."""


@app.command()
def cost(
    *,
    by: Annotated[
        str,
        typer.Option(
            help="Any of org, team, agent, user, tenant, task, step, model, origin; by commas."
        ),
    ] = "team,agent,step,model",
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="First moment: 2026-11-01 or 2026-11-01T08:00+01:00."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Moment after the last; UTC if no zone.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="Show EUR, say, at a rate of the policy's.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            envvar="ORCHESTRATOR_POLICY", metavar="PATH", help="The policy that has the rates."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show cost by the dimensions you name.

    What is known, what is estimated and what is in doubt stand apart. Another currency is a view
    at one rate, that of the period's last day; JSON is in USD, as the ledger is.
    """
    from orchestrator.reports.cost import cost_by, dimensions, moment

    try:
        wanted = dimensions(by)
        first, after = moment(since), moment(until)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    rate = None if currency is None else _rate(currency, policy, after, as_json=as_json)
    totals = cost_by(store, wanted, since=first, until=after)
    if as_json:
        print_json([_plain(wanted, total) for total in totals])
    elif totals:
        _print_table(wanted, totals, str if rate is None else rate.shows)
        if rate is not None:
            typer.echo(f"at {rate}")
    else:
        typer.echo(f"Nothing was asked of a model in this period ({store}).")


def _rate(currency: str, policy: str | None, after: datetime | None, *, as_json: bool) -> Rate:
    """The rate to show amounts at: that of the last day of the period."""
    from orchestrator.policy.load import load_policy
    from orchestrator.pricing.currency import day_of

    problem = "JSON is in USD with all digits; leave it out" if as_json else None
    if problem is None and policy is None:
        problem = "name the policy that has the rates with --policy"
    rates = load_policy(policy).rates if policy is not None and not problem else {}
    if problem is None and currency not in rates:
        problem = f"the policy has no rate of {currency}; it has {', '.join(rates) or 'none'}"
    if problem is not None:
        raise typer.BadParameter(problem, param_hint="--currency")
    now = datetime.now(UTC)
    last = now if after is None else min(now, after - timedelta(microseconds=1))
    return rates[currency].on(day_of(last))


def _plain(wanted: Sequence[str], total: Total) -> dict[str, object]:
    return dict(zip(wanted, total.group, strict=True)) | {
        "attempts": total.attempts,
        "cost_usd": total.cost,
        "known_usd": total.known,
        "estimated_usd": total.estimated,
        "in_doubt_usd": total.unknown,
        "in_doubt": total.unknown_attempts,
        "overrun_usd": total.overrun,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "memo_hits": total.hits,
        "saved_usd": total.saved,
    }


def _print_table(
    wanted: Sequence[str], totals: Sequence[Total], shows: Callable[[Money], str]
) -> None:
    from orchestrator.cli.tables import new_table, numbers, print_table, words

    # What all rows have in common is said once; the place belongs to what differs.
    places = range(len(wanted))
    common = [place for place in places if len({total.group[place] for total in totals}) == 1]
    shown = [place for place in places if place not in common] or common[:1]
    remembers = any(total.hits for total in totals)
    unsure = any(total.cost != total.known for total in totals)
    table = new_table(
        [
            *(words(wanted[place]) for place in shown),
            *map(numbers, ("attempts", "tokens\nin", "tokens\nout")),
            *(map(numbers, ("known", "estimated", "in doubt")) if unsure else ()),
            numbers("cost"),
            *(map(numbers, ("memo\nhits", "saved")) if remembers else ()),
        ],
        title=", ".join(
            f"{wanted[place]} {totals[0].group[place] or '-'}"
            for place in common
            if place not in shown
        ),
    )
    for total in totals:
        table.add_row(
            *(total.group[place] or "-" for place in shown),
            *_figures([total], shows, unsure=unsure, remembers=remembers),
        )
    if len(totals) > 1:
        table.add_section()
        figures = _figures(totals, shows, unsure=unsure, remembers=remembers)
        table.add_row("all", *[""] * (len(shown) - 1), *figures)
    print_table(table)


def _figures(
    totals: Sequence[Total], shows: Callable[[Money], str], *, unsure: bool, remembers: bool
) -> list[str]:
    apart = ("known", "estimated", "unknown") if unsure else ()
    return [
        *(f"{sum(getattr(total, name) for total in totals):,}" for name in COUNTS),
        *(shows(sum((getattr(total, name) for total in totals), Money.ZERO)) for name in apart),
        shows(sum((total.cost for total in totals), Money.ZERO)),
        *([f"{sum(total.hits for total in totals):,}"] if remembers else []),
        *([shows(sum((total.saved for total in totals), Money.ZERO))] if remembers else []),
    ]
