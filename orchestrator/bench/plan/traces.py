"""Recorded runs of agents: who did what, what it had spent after each step, and what came of it.

Two forms of CSV, plain or gzip: one row per step (`query_id, trial, step, step_cost_usd,
run_score`), or one row per run (`query_id, model, cost_usd, n_calls, score`), whose steps are then
taken to have cost the same each.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from math import ceil
from pathlib import Path

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.money import Money

_STEPS = frozenset({"query_id", "trial", "step", "step_cost_usd", "run_score"})
_RUNS = frozenset({"query_id", "model", "cost_usd", "n_calls", "score"})
_SHOWN = 10
_GOOD = 0.5
"""A run with a higher score succeeded."""


class TraceError(OrchestratorError):
    """Recorded runs cannot be used. Lists the mistakes, and what to change."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as recorded.

    Attributes:
        task: What it was to do.
        model: Which model did it.
        spent: The money spent after each step, ascending.
        succeeded: Whether it did.
    """

    task: str
    model: str
    spent: tuple[Money, ...]
    succeeded: bool

    @property
    def cost(self) -> Money:
        """What the whole run cost."""
        return self.spent[-1]


def read_runs(path: Path) -> list[Run]:
    """Read recorded runs.

    Raises:
        TraceError: The file is neither of the two forms, or a number is none.
    """
    try:
        with ExitStack() as stack:
            opened = gzip.open if path.suffix == ".gz" else open
            lines = stack.enter_context(opened(path, "rt", encoding="utf-8-sig", newline=""))
            rows = list(csv.DictReader(lines))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        message = f"{path}: not a readable CSV file in UTF-8: {error}"
        raise TraceError(message) from error
    columns = set(rows[0]) if rows else set()
    wrong: list[str] = []
    if columns >= _STEPS:
        runs = _from_steps(path, rows, wrong)
    elif columns >= _RUNS:
        runs = _from_runs(path, rows, wrong)
    else:
        message = f"{path}: needs the columns {sorted(_STEPS)} or {sorted(_RUNS)}, and rows"
        raise TraceError(message)
    if wrong:
        more = f"\n{path}: and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise TraceError("\n".join(wrong[:_SHOWN]) + more)
    return runs


def _from_steps(path: Path, rows: Sequence[Mapping[str, str]], wrong: list[str]) -> list[Run]:
    grouped: dict[tuple[str, ...], list[tuple[int, Mapping[str, str]]]] = {}
    for line, row in enumerate(rows, start=2):
        key = (row["query_id"], row["trial"], row.get("model") or "")
        grouped.setdefault(key, []).append((line, row))
    runs = []
    for (task, _, model), steps in grouped.items():
        steps.sort(key=lambda one: _number(path, one[0], "step", one[1]["step"], wrong))
        costs = [
            _usd(path, line, "step_cost_usd", row["step_cost_usd"], wrong) for line, row in steps
        ]
        score = _number(path, steps[0][0], "run_score", steps[0][1]["run_score"], wrong)
        runs.append(Run(task, model, tuple(accumulate(costs)), score > _GOOD))
    return runs


def _from_runs(path: Path, rows: Sequence[Mapping[str, str]], wrong: list[str]) -> list[Run]:
    runs = []
    for line, row in enumerate(rows, start=2):
        cost = _usd(path, line, "cost_usd", row["cost_usd"], wrong)
        calls = max(1, int(_number(path, line, "n_calls", row["n_calls"] or "1", wrong)))
        score = _number(path, line, "score", row["score"], wrong)
        spent = tuple(Money(ceil(cost.nano * i / calls)) for i in range(1, calls + 1))
        runs.append(Run(row["query_id"], row["model"], spent, score > _GOOD))
    return runs


def _usd(path: Path, line: int, column: str, text: str, wrong: list[str]) -> Money:
    return Money.from_usd_rounded_up(Decimal(_number(path, line, column, text, wrong)))


def _number(path: Path, line: int, column: str, text: str, wrong: list[str]) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("nan")
    if not (found.is_finite() and found >= 0):
        wrong.append(f"{path}:{line}: {column}: write a number of 0 or more, not {text[:40]!r}")
        return Decimal(0)
    return found
