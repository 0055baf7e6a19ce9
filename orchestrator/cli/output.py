"""What commands print: JSON for programs, short lines and tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.runtime.results import TaskResult

FAILED = 1
HALTED = 3


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a graph's state holds
    """Bring ``value`` into a form JSON knows; money becomes text in USD with all its digits."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    if isinstance(value, Money):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    return value if isinstance(value, str | int | float | None) else _text(value)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_json(value: Any) -> None:  # noqa: ANN401 - as above
    """Print ``value`` as indented JSON."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def result_as_plain(result: TaskResult) -> dict[str, Any]:
    """A task's result with its cost's total beside the parts."""
    data: dict[str, Any] = plain(result)
    data["cost"]["total"] = result.cost.total.to_json()
    return data


def print_result(result: TaskResult, *, as_json: bool) -> None:
    """Print how a task stands, and end with the exit code that says so."""
    if as_json:
        print_json(result_as_plain(result))
    else:
        _print_for_people(result)
    if result.status == "halted":
        raise typer.Exit(HALTED)
    if result.status == "failed":
        raise typer.Exit(FAILED)


def _print_for_people(result: TaskResult) -> None:
    cost = result.cost
    calls = f"{len(result.attempts)} model call{'s' * (len(result.attempts) != 1)}"
    typer.echo(f"{result.task_id}: {result.status}, {cost.total} in {calls}")
    if cost.estimated or cost.unknown:
        typer.echo(
            f"  {cost.known} known, {cost.estimated} estimated, "
            f"{cost.held} held for {cost.unknown} in doubt"
        )
    if result.halt is not None:
        typer.echo(f"  {result.halt.reason}: {result.halt.detail}")
        typer.echo(f"  resume: orchestrator task resume {result.task_id}")
    if result.error is not None:
        typer.echo(f"  {result.error}")
    if result.output is not None:
        typer.echo(json.dumps(plain(result.output), indent=2, ensure_ascii=False))
