"""``orchestrator run``: one task of a graph, under a policy."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import JsonOption, LogOption, PolicyOption, StoreOption
from orchestrator.cli.output import print_result

if TYPE_CHECKING:
    from orchestrator.core.events import Listener
    from orchestrator.runtime.results import TaskResult


def run(  # noqa: PLR0913 - one parameter for each option
    graph: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="The graph.")],
    *,
    policy: PolicyOption,
    agent: Annotated[str, typer.Option(help="The agent's name, for budgets and reports.")],
    input_: Annotated[
        str, typer.Option("--input", help="The graph's input as JSON; '-' reads standard input.")
    ] = "{}",
    user: Annotated[str | None, typer.Option(help="The end user.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The isolation boundary.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE")] = None,
    task_id: Annotated[str | None, typer.Option(help="An id of your own.")] = None,
    budget: Annotated[str | None, typer.Option(help="Lowers the task budget, in USD.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Lowers the timeout, as '5m'.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    log: LogOption = False,
) -> None:
    """Run one task. Exit code 0: completed, 1: failed, 3: halted and resumable."""
    given: dict[str, Any] = {
        "agent": agent,
        "user": user,
        "tenant": tenant,
        "tags": _tags(tag or []),
        "task_id": task_id,
        "budget": budget,
        "timeout": timeout,
    }
    try:
        result = asyncio.run(_run(graph, _input(input_), policy, store, given, log=log))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    print_result(result, as_json=as_json)


async def _run(
    graph: str, value: object, policy: str, store: str | None, given: dict[str, Any], *, log: bool
) -> TaskResult:
    from orchestrator.runtime.orchestrator import Orchestrator

    # As when a module is run: the user's graph lies in the folder the user stands in.
    sys.path.insert(0, "")
    async with Orchestrator.from_policy(
        policy, store=store, listeners=listeners(log=log)
    ) as orchestrator:
        return await orchestrator.run(graph, value, **given)


def listeners(*, log: bool) -> list[Listener]:
    """The listeners a command was asked for."""
    if not log:
        return []
    from orchestrator.telemetry.structlog_listener import StructlogListener

    return [StructlogListener()]


def _input(text: str) -> object:
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except json.JSONDecodeError as error:
        message = f'--input is no JSON ({error}); write for example \'{{"question": "…"}}\'.'
        raise typer.BadParameter(message) from error


def _tags(texts: list[str]) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        message = f"--tag takes KEY=VALUE, not {', '.join(wrong)}"
        raise typer.BadParameter(message)
    return dict(text.split("=", 1) for text in texts)
