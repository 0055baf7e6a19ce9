"""``orchestrator run``: one task of a graph, under a policy."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.carry_out import Work, carry_out, check_graph
from orchestrator.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    LogOption,
    PolicyOption,
    StoreOption,
    pairs,
)
from orchestrator.core.ids import new_task_id

if TYPE_CHECKING:
    from orchestrator.runtime.orchestrator import Orchestrator
    from orchestrator.runtime.run.results import TaskResult


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
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; repeatable.")
    ] = None,
    task_id: Annotated[str | None, typer.Option(help="An id of your own.")] = None,
    budget: Annotated[str | None, typer.Option(help="Lowers the task budget, in USD.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Lowers the timeout, as '5m'.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
    log: LogOption = False,
) -> None:
    """Run one task of an agent.

    Exit code 0: completed, 1: failed, 3: halted and resumable.

    Ctrl-C halts the task once the attempts on their way have ended; a second one cancels them.
    """
    value = _input(input_)
    tags = pairs("--tag", "KEY=VALUE", tag)
    check_graph(graph, "MODULE:NAME")
    work = Work(
        task_id=task_id or new_task_id(), policy=policy, store=store, as_json=as_json, log=log
    )

    async def ask(orchestrator: Orchestrator) -> TaskResult:
        return await orchestrator.run(
            graph,
            value,
            agent=agent,
            user=user,
            tenant=tenant,
            tags=tags,
            task_id=work.task_id,
            budget=budget,
            timeout=timeout,
        )

    carry_out(work, ask)


def _input(text: str) -> object:
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except json.JSONDecodeError as error:
        message = f'no JSON ({error}); write for example \'{{"question": "…"}}\''
        raise typer.BadParameter(message, param_hint="--input") from error
