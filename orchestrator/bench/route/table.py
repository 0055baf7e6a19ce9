"""Recorded replies as one table: questions by models, with scores, costs and texts."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orchestrator.bench.route.setup import TableError
from orchestrator.routing.estimate.fitting import Codes, Matrix

_LONG = {"query_id", "model", "score"}
_COST = "|total_cost"
_TEXT = "|model_response"
_CSV_FIELD = 2**31 - 1
"""The longest field read, in bytes; the default of the csv module is too short for replies."""


@dataclass(frozen=True, slots=True)
class Table:
    """Questions by models.

    Attributes:
        models: Names, in the order asked for.
        score: 0 to 1, one row per question, one column per model.
        cost: USD of each reply.
        prompts: The question, empty where unknown.
        replies: The text of each reply, empty where unknown.
        classes: The class of each question, as a number.
        groups: What those numbers stand for.
        cost_sources: Where the costs come from; an estimate is never shown as measured.
    """

    models: tuple[str, ...]
    score: Matrix
    cost: Matrix
    prompts: tuple[str, ...]
    replies: tuple[tuple[str, ...], ...]
    classes: Codes
    groups: tuple[str, ...]
    cost_sources: tuple[str, ...]

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.prompts)


@dataclass(frozen=True, slots=True)
class _Row:
    query: str
    group: str
    model: str
    prompt: str
    score: float
    cost: float
    source: str
    reply: str


def load(path: Path, models: Sequence[str] = ()) -> Table:
    """Read a table, long (one row per reply) or wide as RouterBench has it; gzip or plain.

    Args:
        path: A CSV file; ``.gz`` is unpacked while reading.
        models: Which models to keep; empty: all.

    Returns:
        The questions that every one of the models answered.

    Raises:
        TableError: A model or a column is missing, or no question was answered by all models.
    """
    csv.field_size_limit(_CSV_FIELD)
    with ExitStack() as stack:
        if path.suffix == ".gz":
            lines = stack.enter_context(gzip.open(path, "rt", encoding="utf-8", newline=""))
        else:
            lines = stack.enter_context(path.open(encoding="utf-8", newline=""))
        reader = csv.DictReader(lines)
        columns = set(reader.fieldnames or ())
        if columns >= _LONG:
            rows = list(_long(reader))
        elif any(name.endswith(_COST) for name in columns):
            rows = list(_wide(reader, sorted(columns)))
        else:
            message = (
                f"{path}: needs the columns {sorted(_LONG)}, or per model NAME and NAME{_COST}"
            )
            raise TableError(message)
    return _pivot(path, rows, models)


def _long(reader: csv.DictReader[str]) -> Iterator[_Row]:
    for row in reader:
        if row["score"] == "":
            continue
        yield _Row(
            query=row["query_id"],
            group=row.get("group", ""),
            model=row["model"],
            prompt=row.get("prompt", ""),
            score=float(row["score"]),
            cost=float(row.get("cost_usd") or "nan"),
            source=row.get("cost_source", ""),
            reply=row.get("response", ""),
        )


def _wide(reader: csv.DictReader[str], columns: Sequence[str]) -> Iterator[_Row]:
    models = [name.removesuffix(_COST) for name in columns if name.endswith(_COST)]
    for row in reader:
        for model in models:
            if row.get(model, "") == "":
                continue
            yield _Row(
                query=row["sample_id"],
                group=row.get("eval_name", ""),
                model=model,
                prompt=row.get("prompt", ""),
                score=float(row[model]),
                cost=float(row[model + _COST] or "nan"),
                source="table",
                reply=row.get(model + _TEXT, ""),
            )


def _pivot(path: Path, rows: Sequence[_Row], models: Sequence[str]) -> Table:
    known = dict.fromkeys(row.model for row in rows)
    names = tuple(models) or tuple(known)
    if missing := [name for name in names if name not in known]:
        message = f"{path}: no model {missing}; the table has {list(known)}"
        raise TableError(message)
    if len(names) < 2:  # noqa: PLR2004 - there is nothing to choose between
        message = f"{path}: routing needs two models, the table has {list(known)}"
        raise TableError(message)
    by_query: dict[str, dict[str, _Row]] = {}
    for row in rows:
        by_query.setdefault(row.query, {})[row.model] = row
    kept = [found for found in by_query.values() if all(name in found for name in names)]
    if not kept:
        message = f"{path}: no question was answered by all of {list(names)}"
        raise TableError(message)
    cost = np.array([[found[name].cost for name in names] for found in kept])
    unknown = np.isnan(cost)
    if unknown.all(axis=0).any():
        names_of = [name for name, bad in zip(names, unknown.all(axis=0), strict=True) if bad]
        message = f"{path}: cost_usd is empty for {names_of}; give a cost or leave them out"
        raise TableError(message)
    sources = {r.source for found in kept for r in found.values()}
    if unknown.any():
        cost = np.where(unknown, np.nanmean(cost, axis=0), cost)
        sources.add("estimated_mean_of_model")
    groups = tuple(sorted({found[names[0]].group for found in kept}))
    code = {group: i for i, group in enumerate(groups)}
    return Table(
        models=names,
        score=np.array([[found[name].score for name in names] for found in kept]),
        cost=cost,
        prompts=tuple(next((r.prompt for r in f.values() if r.prompt), "") for f in kept),
        replies=tuple(tuple(found[name].reply for name in names) for found in kept),
        classes=np.array([code[found[names[0]].group] for found in kept], dtype=np.int64),
        groups=groups,
        cost_sources=tuple(sorted(sources)),
    )


def select(table: Table, models: Sequence[int]) -> Table:
    """The table with only these models, in this order."""
    order = list(models)
    return replace(
        table,
        models=tuple(table.models[m] for m in order),
        score=table.score[:, order],
        cost=table.cost[:, order],
        replies=tuple(tuple(replies[m] for m in order) for replies in table.replies),
    )
