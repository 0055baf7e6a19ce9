"""``orchestrator policy``: check a policy, explain its values, print its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.policy.records import Policy

MISTAKEN = 2  # the exit code of a command line that was used wrongly

app = typer.Typer(no_args_is_help=True, help="Check and explain policies.")

PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="The policy's YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def check(path: PathArgument, *, as_json: JsonOption = False) -> None:
    """Check a policy and all it extends; every mistake is printed, and the exit code is 2."""
    policy = _load(path, as_json=as_json)
    if as_json:
        _print_json({"ok": True, "path": path, "digest": policy.everyone.digest, "problems": []})
    else:
        agents = ", ".join(policy.agents) or "none"
        typer.echo(f"{path}: no mistakes (agents with overrides: {agents})")


@app.command()
def explain(
    path: PathArgument,
    *,
    agent: Annotated[str | None, typer.Option(help="The agent; without it, all of them.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print every value that applies, and the line it was written in."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from orchestrator.policy.records import explain as values_of

    policy = _load(path, as_json=as_json)
    values = values_of(policy, agent)
    if as_json:
        rows = [
            {"key": key, "value": value, "file": source.file, "line": source.line}
            for key, value, source in values
        ]
        _print_json({"path": path, "agent": agent, "values": rows})
        return
    whose = "all agents" if agent is None else agent
    if agent is not None and agent not in policy.agents:
        whose += " (no overrides)"
    table = Table(title=f"{path}: {whose}", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("key", "value", "written in"):
        table.add_column(heading, overflow="fold")
    for key, value, source in values:
        # As plain text: brackets in a pattern are no markup.
        table.add_row(*(Text(cell) for cell in (key, value, str(source))))
    Console().print(table)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy, for editors."""
    from orchestrator.policy.schema import policy_schema_text

    typer.echo(policy_schema_text(), nl=False)


def _load(path: str, *, as_json: bool) -> Policy:
    from orchestrator.core.errors import PolicyError
    from orchestrator.policy.load import load_policy

    try:
        return load_policy(path)
    except PolicyError as error:
        if as_json:
            problems = [
                {"file": p.file, "line": p.line, "key": p.key, "message": p.message}
                for p in error.problems
            ]
            _print_json({"ok": False, "path": path, "problems": problems})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(MISTAKEN) from error


def _print_json(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
