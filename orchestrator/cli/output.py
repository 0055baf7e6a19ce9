"""What commands print: JSON for programs, short lines for people."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.options import DEFAULT_STORE
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from orchestrator.core.halt import Halt
    from orchestrator.runtime.run.results import TaskResult

FAILED = 1
MISTAKEN = 2
HALTED = 3
INTERRUPTED = 130


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


def print_line(data: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print one of several records as they come: ``text``, or ``data`` as JSON on one line."""
    typer.echo(json.dumps(plain(data), ensure_ascii=False) if as_json else text)


def result_as_plain(result: TaskResult) -> dict[str, Any]:
    """A task's result with its cost's total beside the parts."""
    data: dict[str, Any] = plain(result)
    data["cost"]["total"] = result.cost.total.to_json()
    return data


def print_result(
    result: TaskResult, *, as_json: bool, resume: str, interrupted: bool = False
) -> None:
    """Print how a task stands, and end with the exit code that says so.

    Args:
        result: How it stands.
        as_json: For programs.
        resume: The command that goes on with it.
        interrupted: Whether the user interrupted it.
    """
    if as_json:
        print_json(result_as_plain(result))
    else:
        typer.echo("\n".join(_lines(result, resume)))
    match result.status:
        case "halted":
            raise typer.Exit(INTERRUPTED if interrupted else HALTED)
        case "failed":
            raise typer.Exit(FAILED)


def resume_command(task_id: str, policy: str, store: str) -> str:
    """The command that goes on with a task, as it can be pasted into a shell."""
    command = ["orchestrator", "task", "resume", task_id, "--policy", policy]
    if store != os.environ.get("ORCHESTRATOR_STORE", DEFAULT_STORE):
        command += ["--store", store]
    return shlex.join(command)


def counted(number: int, thing: str) -> str:
    """``1 attempt``, ``2 attempts``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def in_lines(text: str, indent: str = "  ") -> str:
    """``text`` in lines as wide as the terminal."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lines(result: TaskResult, resume: str) -> Iterable[str]:
    cost = result.cost
    attempts = counted(len(result.attempts), "attempt")
    yield f"{result.task_id}: {result.status}, {cost.total} in {attempts}"
    if cost.estimated or cost.unknown:
        yield (
            f"  {cost.known} known, {cost.estimated} estimated, "
            f"{cost.held} held for {cost.unknown} in doubt"
        )
    if result.halt is not None:
        yield in_lines(f"{result.halt.reason}: {result.halt.detail}")
        yield f"  go on: {resume}{resume_options(result.halt)}"
    if result.error is not None:
        yield in_lines(result.error)
        yield f"  try again from the last checkpoint: {resume}"
    if result.output is not None:
        yield json.dumps(plain(result.output), indent=2, ensure_ascii=False)


def resume_options(halt: Halt) -> str:
    """What has to be added to ``orchestrator task resume`` after this halt."""
    match halt.reason:
        case "budget" if halt.scope == "task":
            return " --add-budget USD"
        case "timeout":
            return " --extend timeout=5m"
        case "model_calls" | "tool_calls" | "tokens" | "steps" | "repeats" as limit:
            return f" --extend {limit}=NUMBER"
        case "question":
            return " --answer TEXT"
        case _:
            return ""
