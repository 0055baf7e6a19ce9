"""The page of errors, halts and events: ``python -m orchestrator.telemetry.reference FILE``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType, ModuleType

from orchestrator.core import errors, events, halt

HEAD = """\
# Errors, halts and events

Written from the code by `python -m orchestrator.telemetry.reference`; do not edit it by hand.

## Errors

All derive from `OrchestratorError`. Each message says what to change.

| error | when |
|---|---|
"""
HALTS = """
## Halts

A halt is no error: the task stands at a checkpoint and can be resumed. `result.halt` has

| field | meaning |
|---|---|
"""
REASONS = """
and its `reason` is one of

| reason | what goes on from there |
|---|---|
"""
EVENTS = """
## Events

A listener (`Orchestrator(..., listeners=[...])`) is called with each of these; the shipped one
writes them as JSON lines, an event's name in snake case. All have `at`, the moment, and `scope`:
org, team, agent, user, tenant, task, its ancestors and tags. No event holds a prompt or a reply.

| event | when | fields |
|---|---|---|
"""
GO_ON: Mapping[str, str] = MappingProxyType(
    {
        "budget": "`resume(add_budget=)` if it was the task's own; else the next window, or more",
        "timeout": '`resume(extend={"timeout": "5m"})`',
        "model_calls": '`resume(extend={"model_calls": 20})`',
        "tool_calls": '`resume(extend={"tool_calls": 20})`',
        "tokens": '`resume(extend={"tokens": 10000})`',
        "steps": '`resume(extend={"steps": 20})`',
        "repeats": '`resume(extend={"repeats": 3})`',
        "confidence": "`resume()` once the step's models, checks or threshold changed",
        "question": "`resume(answer=)`",
        "no_model": "`resume()` once a model answers, or has a price",
        "paused": "`resume()`",
        "cancelled": "`resume()`",
    }
)


def reference() -> str:
    """The page, as Markdown."""
    return "".join(
        [
            HEAD,
            *_rows(
                [name, _first(kind)] for name, kind in _classes(errors, errors.OrchestratorError)
            ),
            HALTS,
            *_rows(_attributes(halt.Halt)),
            REASONS,
            *_rows([f"`{reason}`", GO_ON[reason]] for reason in halt.HALT_REASONS),
            EVENTS,
            *_rows(
                [name, _first(kind), ", ".join(f"`{one.name}`" for one in fields(kind)[2:])]
                for name, kind in _classes(events, events.Event)
            ),
        ]
    )


def _rows(rows: Iterator[list[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"


def _classes(module: ModuleType, base: type) -> Iterator[tuple[str, type]]:
    """What a module defines under ``base``, in its order."""
    for name, kind in vars(module).items():
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base:
            yield f"`{name}`", kind


def _first(kind: type) -> str:
    """The first paragraph of a class's own words."""
    text = (inspect.getdoc(kind) or "").partition("\n\n")[0]
    return " ".join(text.replace("``", "`").split())


def _attributes(kind: type) -> Iterator[list[str]]:
    """What a class says of its attributes, as Google's style has it."""
    lines = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].splitlines()
    for line in lines:
        name, colon, meaning = line.strip().partition(": ")
        if colon:
            yield [f"`{name}`", meaning.replace("``", "`")]


def main() -> None:
    """Write the page named on the command line."""
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
