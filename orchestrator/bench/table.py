"""Draws what a benchmark found: for the terminal, for Markdown, for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Column, Table

from orchestrator.bench.records import Baseline, PolicyRun
from orchestrator.core.money import Money

Record = PolicyRun | Baseline

_HEADINGS = ("policy", "tasks", "quality", "cost", "cost per task", "halts", "failures", "numbers")
_NUMERIC = frozenset(_HEADINGS[1:7])


def to_rich(runs: Sequence[PolicyRun], baselines: Sequence[Baseline] = ()) -> Table:
    """A table for the terminal.

    A column in which all rows agree is said once, in the title: on a narrow terminal the place
    belongs to names and money.
    """
    records: Sequence[Record] = (*runs, *baselines)
    counts = _agreed([str(record.tasks) for record in records])
    sources = _agreed([record.source for record in records])
    stopped = any(run.halts or run.failures for run in runs)
    title = [
        "" if counts is None else f"{counts} task{'s' * (counts != '1')}",
        "" if sources is None else f"{sources} numbers",
        "" if stopped else "no halts, no failures",
    ]
    left_out = {"tasks": counts, "numbers": sources, "halts": not stopped, "failures": not stopped}
    shown = [heading for heading in _HEADINGS if not left_out.get(heading)]
    table = Table(
        *map(_column, shown),
        Column("models", overflow="fold"),
        title=", ".join(filter(None, title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for run in runs:
        table.add_row(*_shown(run, shown), _attempts(run))
    table.add_section()
    for baseline in baselines:
        table.add_row(*_shown(baseline, shown), baseline.detail, style="dim")
    return table


def to_markdown(runs: Sequence[PolicyRun], baselines: Sequence[Baseline] = ()) -> str:
    """A table in Markdown, with a newline at its end."""
    rule = ("---:" if heading in _NUMERIC else "---" for heading in _HEADINGS)
    records: Sequence[Record] = (*runs, *baselines)
    rows = (_HEADINGS, rule, *(_cells(record).values() for record in records))
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


def _shared(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "tasks": record.tasks,
        "quality": record.quality,
        "cost_usd": record.cost.to_json(),
        "source": record.source,
    }


def _cells(record: Record) -> Mapping[str, str]:
    """The cells of a row by heading."""
    per_task = Money(round(record.cost.nano / record.tasks)) if record.tasks else Money.ZERO
    if isinstance(record, PolicyRun):
        name, halts, failures = record.name, str(sum(record.halts.values())), str(record.failures)
    else:
        name, halts, failures = f"{record.name} ({record.detail})", "", ""
    cells = (
        name.replace("|", "\\|"),
        str(record.tasks),
        f"{record.quality:.1%}",
        str(record.cost),
        str(per_task),
        halts,
        failures,
        record.source,
    )
    return dict(zip(_HEADINGS, cells, strict=True))


def _shown(record: Record, headings: Sequence[str]) -> list[str]:
    cells = {**_cells(record), "policy": record.name}
    return [cells[heading] for heading in headings]


def _attempts(run: PolicyRun) -> str:
    """How often each model was asked, most often first."""
    counted = sorted((run.attempts or {}).items(), key=lambda one: -one[1])
    return ", ".join(f"{count} {model}" for model, count in counted)


def _agreed(cells: Sequence[str]) -> str | None:
    return cells[0] if len(set(cells)) == 1 else None


def _column(heading: str) -> Column:
    if heading not in _NUMERIC:
        return Column(heading, overflow="fold")
    # Never narrower than its numbers: a folded or shortened amount is a wrong amount.
    return Column(heading.replace(" per ", "\nper "), justify="right", no_wrap=True)
