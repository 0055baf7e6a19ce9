"""``orchestrator doctor``: what is wrong before the first task, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from orchestrator.cli.output import MISTAKEN, in_lines, print_json


def doctor(
    *,
    policy: Annotated[
        str | None,
        typer.Option(envvar="ORCHESTRATOR_POLICY", metavar="PATH", help="The team's policy."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Look at versions, the store, its permissions, the policy, keys and prices.

    Nothing is asked of a provider, and nothing is written. Exit code 2 if tasks cannot run.
    """
    from orchestrator.cli.diagnosis import diagnose

    findings = list(diagnose(policy, store))
    if as_json:
        print_json({"ok": all(one.state != "wrong" for one in findings), "findings": findings})
    else:
        width = max(len(one.what) for one in findings)
        for one in findings:
            detail = " ".join(one.detail.split())
            typer.echo(f"{one.state:5}  {one.what:{width}}  {detail}")
            if one.advice:
                typer.echo(in_lines(one.advice, indent=" " * (width + 9)))
    if any(one.state == "wrong" for one in findings):
        raise typer.Exit(MISTAKEN)
