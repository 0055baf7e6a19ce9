"""``orchestrator init``: a policy and a first agent, from four questions or as many flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from orchestrator.cli.options import PriceOption, prices
from orchestrator.cli.output import MISTAKEN

DEFAULT_MODEL = "openai/gpt-5-nano"
DEFAULT_STRONG = "openai/gpt-5"
DEFAULT_BUDGET = "0.10"


def init(
    directory: Annotated[Path, typer.Argument(help="Where to write; made if missing.")] = Path(),
    *,
    team: Annotated[str | None, typer.Option(help="Who pays. Default: the folder's name.")] = None,
    model: Annotated[str | None, typer.Option(help=f"A cheap model: {DEFAULT_MODEL}.")] = None,
    strong: Annotated[str | None, typer.Option(help=f"A strong one: {DEFAULT_STRONG}.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="USD", help=f"What a task may spend: {DEFAULT_BUDGET}.")
    ] = None,
    api_base: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server for both.")
    ] = None,
    price: PriceOption = None,
) -> None:
    """Write a policy and a first agent, and say how to run it.

    At a terminal it asks for what no option says; elsewhere it takes the defaults. It writes
    nothing if one of the files is there already, or if the policy would have a mistake.
    """
    from orchestrator.cli.first_agent import AGENT, AGENT_FILE, POLICY_FILE, FirstModel, policy_text

    files = directory / POLICY_FILE, directory / AGENT_FILE
    if there := [str(path) for path in files if path.exists()]:
        message = f"already there: {', '.join(there)}; name another directory"
        raise typer.BadParameter(message, param_hint="DIRECTORY")
    folder = directory.resolve().name
    team = team or _ask("Which team pays", folder if folder.isidentifier() else "default")
    model = model or _ask("A cheap model", DEFAULT_MODEL)
    strong = strong or _ask("A strong model, for what the cheap one cannot do", DEFAULT_STRONG)
    spends = "How many USD may one task spend"
    budget = _amount(budget) if budget else _ask(spends, DEFAULT_BUDGET, _amount)
    known = {name: (one["input"], one["output"]) for name, one in prices(price).items()}
    models = [
        FirstModel(name=name, model=one, api_base=api_base, price=known.get(one))
        for name, one in (("small", model), ("large", strong))
    ]
    text = policy_text(team, models, budget)
    _check(text)
    directory.mkdir(parents=True, exist_ok=True)
    files[0].write_text(text, encoding="utf-8")
    files[1].write_text(AGENT, encoding="utf-8")
    _say_what_next(files[0], files[1])


def _ask(question: str, default: str, read: Callable[[str], str] = str) -> str:
    """Ask at a terminal, and once more for what ``read`` refuses."""
    if not _is_terminal():
        return default
    answer: str = typer.prompt(question, default=default, value_proc=read)
    return answer


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _amount(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and amount > 0):
        message = f"{text!r} is no amount in USD; write for example {DEFAULT_BUDGET}"
        raise typer.BadParameter(message, param_hint="--budget")
    return text


def _check(text: str) -> None:
    """See that the policy has no mistake, before anything is written where it will stand."""
    from orchestrator.core.errors import PolicyError
    from orchestrator.policy.load import load_policy

    with TemporaryDirectory() as elsewhere:
        draft = Path(elsewhere) / "policy.yaml"
        draft.write_text(text, encoding="utf-8")
        try:
            load_policy(draft)
        except PolicyError as error:
            typer.echo("Nothing was written: the policy would have mistakes.", err=True)
            for problem in error.problems:
                typer.echo(f"  {problem.key}: {problem.message}", err=True)
            typer.echo("Change an option, for example --budget or --price MODEL=IN,OUT.", err=True)
            raise typer.Exit(MISTAKEN) from error


def _say_what_next(policy: Path, agent: Path) -> None:
    typer.echo(f"Wrote {policy} and {agent}. Now:")
    if policy.parent != Path():
        typer.echo(f"  cd {policy.parent}")
    if not os.environ.get("ORCHESTRATOR_POLICY"):
        typer.echo(f"  export ORCHESTRATOR_POLICY={policy.name}")
    typer.echo("  orchestrator doctor")
    typer.echo(
        f"  orchestrator run {agent.stem}:graph --agent first"
        """ --input '{"question": "Why is the sky blue?"}'"""
    )
    typer.echo("  orchestrator report cost --by step,model")
