"""``orchestrator task``: list, show, explain and resume tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
from orchestrator.cli.output import counted, plain, print_json
from orchestrator.cli.watch import watch
from orchestrator.core.events import TaskStatus
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.core.scope import Scope
    from orchestrator.ledger.records import TaskRecord
    from orchestrator.ledger.stores.reading import Spending
    from orchestrator.runtime.orchestrator import Orchestrator
    from orchestrator.runtime.run.results import TaskResult

app = typer.Typer(no_args_is_help=True, help="List, show, watch, explain and resume tasks.")
app.command()(watch)

TaskArgument = Annotated[str, typer.Argument(metavar="TASK_ID", help="As `task list` shows it.")]


@app.command(name="list")
def list_tasks(
    *,
    status: Annotated[TaskStatus | None, typer.Option(help="Only these.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """List the newest tasks: status and cost."""
    from orchestrator.reports.tasks import list_tasks as listed

    found = listed(store, status=status, team=team, agent=agent, limit=limit)
    if as_json:
        print_json([_summary(record) | {"cost_usd": plain(cost)} for record, cost in found])
    elif found:
        _print_list(found)
    else:
        typer.echo(f"No such tasks in {store}.")


@app.command()
def show(
    task_id: TaskArgument, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Show one task and its attempts."""
    from orchestrator.reports.tasks import show_task

    record, attempts = show_task(store, task_id)
    if as_json:
        cost = sum((one.cost for one in attempts), Money.ZERO)
        print_json(_summary(record) | {"cost_usd": cost, "attempts": attempts})
    else:
        _print_task(record, attempts)


@app.command()
def explain(
    task_id: TaskArgument, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Say why each model of a task was asked: candidates, estimates, costs, checks, decision."""
    from orchestrator.reports.explanation import in_words
    from orchestrator.reports.routing import explained

    found = explained(store, task_id)
    if as_json:
        names = ("choice", "replies", "outcomes")
        print_json([dict(zip(names, each, strict=True)) for each in found])
    elif found:
        typer.echo("\n\n".join("\n".join(in_words(*each)) for each in found))
    else:
        typer.echo(f"{task_id} asked no model, or only what it had been answered before.")


@app.command()
def resume(
    task_id: TaskArgument,
    *,
    policy: PolicyOption,
    graph: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Needed unless it was started by that name."),
    ] = None,
    add_budget: Annotated[str | None, typer.Option(help="Raises the task budget, USD.")] = None,
    extend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT=AMOUNT", help="Raises a limit: timeout=5m, model_calls=20; repeatable."
        ),
    ] = None,
    answer: Annotated[str | None, typer.Option(help="Answers the graph's question.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
    log: LogOption = False,
) -> None:
    """Go on with a task where it stopped.

    What was paid is not paid again. Exit codes and Ctrl-C as with `orchestrator run`.
    """
    from orchestrator.reports.tasks import show_task

    more = {
        name: int(amount) if amount.isdecimal() else amount
        for name, amount in pairs("--extend", "LIMIT=AMOUNT", extend).items()
    }
    record, _ = show_task(store, task_id)
    if graph is not None or (record.status != "completed" and ":" in record.opening.graph):
        check_graph(graph or record.opening.graph, "--graph")

    async def ask(orchestrator: Orchestrator) -> TaskResult:
        return await orchestrator.resume(
            task_id, graph=graph, add_budget=add_budget, extend=more or None, answer=answer
        )

    carry_out(Work(task_id=task_id, policy=policy, store=store, as_json=as_json, log=log), ask)


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
        "tags": scope.tags,
        "parent_task_id": scope.ancestors[-1] if scope.ancestors else None,
        "graph": record.opening.graph,
        "policy": record.opening.policy,
        "started_at": record.opening.at,
        "updated_at": record.updated_at,
        "running_s": record.running_s,
        "epoch": record.epoch,
        "halt": record.halt,
        "error": record.error,
    }


# For people


def _print_list(found: list[tuple[TaskRecord, Money]]) -> None:
    from orchestrator.cli.tables import new_table, numbers, print_table, whole, words

    teams = {record.opening.scope.team for record, _ in found}
    table = new_table(
        [whole("task"), words("status"), words("agent"), whole("started\n(UTC)"), numbers("cost")],
        title=f"team {teams.pop()}" if len(teams) == 1 else "",
    )
    for record, cost in found:
        scope = record.opening.scope
        table.add_row(
            scope.task_id,
            _status(record),
            _whose(scope, with_team=bool(teams)),
            f"{record.opening.at:%b %d %H:%M}",
            str(cost),
        )
    print_table(table)


def _print_task(record: TaskRecord, attempts: list[Spending]) -> None:
    from orchestrator.cli.tables import facts, new_table, numbers, print_table, words
    from orchestrator.ledger.records import UNASKED

    opening = record.opening
    cost = sum((one.cost for one in attempts), Money.ZERO)
    hits = [one for one in attempts if one.kind == "memo"]
    paid = [one for one in attempts if one.kind not in UNASKED]
    saved = sum((one.saved for one in hits), Money.ZERO)
    print_table(
        facts(
            {
                "task": opening.scope.task_id,
                "status": _status(record),
                "because": record.halt.detail if record.halt else record.error,
                "agent": _whose(opening.scope),
                "org": opening.scope.org,
                "tenant": opening.scope.tenant,
                "tags": ", ".join(f"{key}={value}" for key, value in opening.scope.tags.items()),
                "inside of": opening.scope.ancestors[-1] if opening.scope.ancestors else None,
                "graph": opening.graph,
                "policy": opening.policy,
                "started": f"{opening.at:%Y-%m-%d %H:%M:%S} UTC",
                "ran": f"{record.running_s:.1f} s in {counted(record.epoch, 'run')}",
                "cost": f"{cost} in {counted(len(paid), 'attempt')}",
                "memo": f"{counted(len(hits), 'hit')} saved {saved}" if hits else None,
            }
        )
    )
    if not attempts:
        return
    errors = any(one.error for one in attempts)
    pooled = any(one.origin for one in attempts)
    table = new_table(
        [
            *map(words, ("step", "model", *(["origin"] if pooled else []), "kind")),
            *map(numbers, ("tokens\nin", "tokens\nout", "seconds", "cost")),
            words("certainty"),
            *([words("error")] if errors else []),
        ]
    )
    for one in attempts:
        table.add_row(
            one.step,
            one.model,
            *([one.origin or ""] if pooled else []),
            one.kind,
            "" if one.usage is None else f"{one.usage.input_tokens:,}",
            "" if one.usage is None else f"{one.usage.output_tokens:,}",
            "" if one.seconds is None else f"{one.seconds:.2f}",
            str(one.cost),
            one.certainty,
            *([one.error or ""] if errors else []),
        )
    typer.echo()
    print_table(table)


def _status(record: TaskRecord) -> str:
    return record.status if record.halt is None else f"{record.status}: {record.halt.reason}"


def _whose(scope: Scope, *, with_team: bool = True) -> str:
    agent = f"{scope.team}/{scope.agent}" if with_team else scope.agent
    return f"{agent} for {scope.user}" if scope.user else agent
