"""``orchestrator routing``: what is known of the models of each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import print_json

if TYPE_CHECKING:
    from orchestrator.reports.routing import Point, StepStatus

app = typer.Typer(no_args_is_help=True, help="What is known of the models of each step.")


@app.callback()
def options() -> None:
    """What is known of the models of each step."""


@app.command(name="status")
def show_status(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show per step what its confidence is worth, what it costs, and what other rules would."""
    from orchestrator.reports.routing import status

    found = status(store, tenant=tenant)
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(f"Nothing was learned yet ({store}). Tell outcomes: orchestrator.feedback(...).")
    for number, step in enumerate(found):
        if number:
            typer.echo()
        _print(step)


def _print(step: StepStatus) -> None:
    from orchestrator.cli.tables import facts, new_table, numbers, print_table, words

    print_table(
        facts(
            {
                "step": f"{step.step} of {step.agent}, tenant {step.tenant}",
                "state": f"{step.state}, {step.labels} labels, {step.audits} audits kept apart",
                "labels from": ", ".join(f"{who} {n:,}" for who, n in step.sources.items()) or None,
                "threshold": _threshold(step),
                "certificate": _certificate(step),
                "drift": _drift(step),
            }
        )
    )
    table = new_table(
        [words("model"), *map(numbers, ("replies", "accepted", "labels", "right", "cost"))]
    )
    for one in step.actions:
        table.add_row(
            one.action.split("|", 1)[0],
            f"{one.replies:,}",
            f"{one.accepted:.0%}",
            f"{one.labels:,}",
            _share(one.quality),
            _usd(one.cost_usd),
        )
    print_table(table)
    if step.checks:
        worth = new_table(
            [words("check"), *map(numbers, ("outcomes", "passes right", "passes wrong"))]
        )
        for check in step.checks:
            worth.add_row(
                check.name,
                f"{check.replies:,}",
                f"{check.passes_right:.0%}",
                f"{check.passes_wrong:.0%}",
            )
        print_table(worth)
    rules = new_table([words("rule"), numbers("right"), numbers("cost per ask"), words("")])
    points: dict[str, Point] = {"this policy": step.policy, **step.baselines}
    for name, point in points.items():
        rules.add_row(
            name.replace("_", " "),
            _share(point.quality),
            _usd(point.cost_usd),
            point.detail.split("|", 1)[0],
        )
    print_table(rules)


def _threshold(step: StepStatus) -> str | None:
    if step.threshold is None:
        return None
    return f"{step.threshold:g}" + "; no model is known to reach it" * step.unreachable


def _certificate(step: StepStatus) -> str | None:
    found = step.certificate
    if found is None:
        return None
    if found.state != "certified":
        return f"none: {found.labels} audits do not show an error of at most {found.alpha:.3g}"
    until = f", until {found.expires:%Y-%m-%d}" if found.expires is not None else ""
    return (
        f"at most {found.alpha:.3g} of the accepted are wrong, said with {1 - found.delta:.4g}: "
        f"{found.errors} errors in {found.accepted} of {found.labels} audits, "
        f"bound {found.bound:.3g}, coverage {found.coverage:.0%}{until}"
    )


def _drift(step: StepStatus) -> str | None:
    if step.drifted:
        return "alarm: what was learned went wrong; the best model is asked until it is known anew"
    return (
        None if step.threshold is None else f"evidence {step.drift:.2f}; at 20 the alarm is raised"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _usd(value: float | None) -> str:
    return "-" if value is None else f"${value:.6f}"
