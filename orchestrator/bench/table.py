"""Draws what a benchmark found: for the terminal, for Markdown, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.core.money import Money

_HEADINGS = ("policy", "tasks", "quality", "cost", "cost per task", "halts", "failures", "numbers")
_NUMERIC = frozenset(_HEADINGS[1:7])


def to_rich(runs: Sequence[PolicyRun], baselines: Sequence[Baseline] = ()) -> Table:
    """A table for the terminal."""
    table = Table()
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in _NUMERIC else "left")
    for run in runs:
        table.add_row(*_cells(run))
    table.add_section()
    for baseline in baselines:
        table.add_row(*_cells(baseline), style="dim")
    return table


def to_markdown(runs: Sequence[PolicyRun], baselines: Sequence[Baseline] = ()) -> str:
    """A table in Markdown, with a newline at its end."""
    rule = ("---:" if heading in _NUMERIC else "---" for heading in _HEADINGS)
    records: Sequence[PolicyRun | Baseline] = (*runs, *baselines)
    rows = (_HEADINGS, rule, *map(_cells, records))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def to_json(runs: Sequence[PolicyRun], baselines: Sequence[Baseline] = ()) -> dict[str, Any]:
    """Plain data for JSON; money as text in USD with all digits."""
    return {
        "policies": [
            _shared(run)
            | {
                "halts": dict(run.halts),
                "failures": run.failures,
                "attempts": None if run.attempts is None else dict(run.attempts),
                "seconds": run.seconds,
            }
            for run in runs
        ],
        "baselines": [_shared(baseline) | {"detail": baseline.detail} for baseline in baselines],
    }


def _shared(record: PolicyRun | Baseline) -> dict[str, Any]:
    return {
        "name": record.name,
        "tasks": record.tasks,
        "quality": record.quality,
        "cost_usd": record.cost.to_json(),
        "source": record.source,
    }


def _cells(record: PolicyRun | Baseline) -> tuple[str, ...]:
    per_task = Money(round(record.cost.nano / record.tasks)) if record.tasks else Money.ZERO
    if isinstance(record, PolicyRun):
        name, halts, failures = record.name, str(sum(record.halts.values())), str(record.failures)
    else:
        name, halts, failures = f"{record.name} ({record.detail})", "", ""
    return (
        name.replace("|", "\\|"),
        str(record.tasks),
        f"{record.quality:.1%}",
        str(record.cost),
        str(per_task),
        halts,
        failures,
        record.source,
    )
