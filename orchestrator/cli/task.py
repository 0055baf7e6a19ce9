"""``orchestrator task``: list, show and resume tasks."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from orchestrator.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    LogOption,
    PolicyOption,
    StoreOption,
)
from orchestrator.cli.output import plain, print_json, print_result
from orchestrator.cli.run import listeners
from orchestrator.core.events import TaskStatus

if TYPE_CHECKING:
    from orchestrator.ledger.reading import Spending
    from orchestrator.ledger.records import TaskRecord
    from orchestrator.runtime.results import TaskResult

app = typer.Typer(no_args_is_help=True, help="List, show and resume tasks.")


@app.command(name="list")
def list_tasks(
    *,
    status: Annotated[str | None, typer.Option(help="running, completed, halted, failed")] = None,
    team: Annotated[str | None, typer.Option()] = None,
    agent: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest tasks with their status and cost."""
    from orchestrator.reports.tasks import list_tasks as listed

    known: tuple[TaskStatus, ...] = get_args(TaskStatus)
    wanted = next((one for one in known if one == status), None)
    if wanted != status:
        message = f"--status is one of {', '.join(known)}, not {status!r}"
        raise typer.BadParameter(message)
    found = listed(store or DEFAULT_STORE, status=wanted, team=team, agent=agent, limit=limit)
    if as_json:
        print_json([_summary(record) | {"cost_usd": plain(cost)} for record, cost in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "status", "team", "agent", "user", "cost", "started", "halt")
    for record, cost in found:
        scope = record.opening.scope
        table.add_row(
            scope.task_id,
            record.status,
            scope.team,
            scope.agent,
            scope.user or "",
            str(cost),
            f"{record.opening.at:%Y-%m-%d %H:%M:%S}",
            record.halt.reason if record.halt else "",
        )
    Console().print(table)


@app.command()
def show(
    task_id: Annotated[str, typer.Argument()],
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """One task: who it belongs to, how it stands, and every attempt with its cost."""
    from orchestrator.reports.tasks import show_task

    record, attempts = show_task(store or DEFAULT_STORE, task_id)
    if as_json:
        print_json(_summary(record) | {"attempts": [plain(one) for one in attempts]})
        return
    _print_task(record, attempts)


@app.command()
def resume(
    task_id: Annotated[str, typer.Argument()],
    *,
    policy: PolicyOption,
    graph: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Needed unless it was started by that name."),
    ] = None,
    add_budget: Annotated[str | None, typer.Option(help="Raises the task budget, USD.")] = None,
    extend: Annotated[
        list[str] | None, typer.Option(metavar="LIMIT=AMOUNT", help="timeout=5m, model_calls=20")
    ] = None,
    answer: Annotated[str | None, typer.Option(help="Answers the graph's question.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    log: LogOption = False,
) -> None:
    """Go on with a task where it stopped; what was paid is not paid again."""
    given = {
        "graph": graph,
        "add_budget": add_budget,
        "extend": _extensions(extend or []),
        "answer": answer,
    }
    try:
        result = asyncio.run(_resume(task_id, policy, store, given, log=log))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    print_result(result, as_json=as_json)


async def _resume(
    task_id: str, policy: str, store: str | None, given: dict[str, Any], *, log: bool
) -> TaskResult:
    from orchestrator.runtime.orchestrator import Orchestrator

    sys.path.insert(0, "")
    async with Orchestrator.from_policy(
        policy, store=store, listeners=listeners(log=log)
    ) as orchestrator:
        return await orchestrator.resume(task_id, **given)


def _extensions(texts: list[str]) -> dict[str, str | int] | None:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        message = f"--extend takes LIMIT=AMOUNT, not {', '.join(wrong)}"
        raise typer.BadParameter(message)
    pairs = [text.split("=", 1) for text in texts]
    return {name: int(amount) if amount.isdecimal() else amount for name, amount in pairs} or None


def _summary(record: TaskRecord) -> dict[str, Any]:
    scope = record.opening.scope
    return {
        "task_id": scope.task_id,
        "status": record.status,
        "org": scope.org,
        "team": scope.team,
        "agent": scope.agent,
        "user": scope.user,
        "tenant": scope.tenant,
        "tags": plain(scope.tags),
        "parent_task_id": scope.ancestors[-1] if scope.ancestors else None,
        "graph": record.opening.graph,
        "policy": record.opening.policy,
        "started_at": plain(record.opening.at),
        "updated_at": plain(record.updated_at),
        "running_s": record.running_s,
        "epoch": record.epoch,
        "halt": plain(record.halt),
        "error": record.error,
    }


def _print_task(record: TaskRecord, attempts: list[Spending]) -> None:
    from rich.console import Console
    from rich.table import Table

    for name, value in _summary(record).items():
        if value not in (None, {}, ""):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            typer.echo(f"{name:>15}: {text}")
    table = Table("step", "model", "kind", "cost", "certainty", "tokens", "seconds", "error")
    for one in attempts:
        table.add_row(
            one.step,
            one.model,
            one.kind,
            str(one.cost),
            one.certainty,
            "" if one.usage is None else f"{one.usage.input_tokens}+{one.usage.output_tokens}",
            "" if one.seconds is None else f"{one.seconds:.2f}",
            one.error or "",
        )
    Console().print(table)
