"""``orchestrator policy``: check a policy, explain its values, print its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import MISTAKEN, print_json

if TYPE_CHECKING:
    from orchestrator.policy.records import Policy

app = typer.Typer(no_args_is_help=True, help="Check and explain policies.")

PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="The policy's YAML file.")]


@app.command()
def check(path: PathArgument, *, as_json: JsonOption = False) -> None:
    """Check a policy and all it extends.

    Every mistake is printed, with its line; the exit code is then 2.
    """
    policy = _load(path, as_json=as_json)
    if as_json:
        print_json({"ok": True, "path": path, "digest": policy.everyone.digest, "problems": []})
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
    """Print every value and where it is written."""
    from orchestrator.cli.tables import new_table, print_table, words
    from orchestrator.core.redaction import mask
    from orchestrator.policy.records import explain as values_of

    policy = _load(path, as_json=as_json)
    values = values_of(policy, agent)
    if as_json:
        rows = [
            {"key": key, "value": mask(value), "file": source.file, "line": source.line}
            for key, value, source in values
        ]
        print_json({"path": path, "agent": agent, "values": rows})
        return
    whose = "all agents" if agent is None else agent
    if agent is not None and agent not in policy.agents:
        whose += " (no overrides)"
    table = new_table(map(words, ("key", "value", "written in")), title=f"{path}: {whose}")
    for key, value, source in values:
        table.add_row(key, mask(value), str(source))
    print_table(table)


@app.command()
def schema() -> None:
    """Print the JSON Schema for editors."""
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
            print_json({"ok": False, "path": path, "problems": problems})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(MISTAKEN) from error
