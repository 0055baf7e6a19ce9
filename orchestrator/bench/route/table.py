"""Recorded replies as one table: questions by models, with scores, costs and texts."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, isnan
from pathlib import Path

import numpy as np

from orchestrator.bench.route.setup import TableError
from orchestrator.bench.wide import COST, CSV_FIELD, REPLY, models_of
from orchestrator.routing.learning.cases import Cases

_LONG = frozenset({"query_id", "model", "score"})
_UTF8 = "utf-8-sig"
"""UTF-8, also with the mark that spreadsheets put first."""
_SHOWN = 10
"""Mistakes shown at once; a whole column can be wrong."""


@dataclass(frozen=True, slots=True)
class Table(Cases):
    """Cases that were read from a file.

    Attributes:
        cost_sources: Where the costs come from; an estimate is never shown as measured.
        left_out: How many questions were left out, for not all of the models answered them.
    """

    cost_sources: tuple[str, ...]
    left_out: int = 0


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
        TableError: The file is no such table, a model or a column is missing, a number is none, a
            model replied twice to one question and not the same, or no question was answered by all
            models.
    """
    csv.field_size_limit(CSV_FIELD)
    wrong: list[str] = []
    try:
        with ExitStack() as stack:
            if path.suffix == ".gz":
                lines = stack.enter_context(gzip.open(path, "rt", encoding=_UTF8, newline=""))
            else:
                lines = stack.enter_context(path.open(encoding=_UTF8, newline=""))
            rows = list(_rows(path, csv.DictReader(lines), wrong))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        message = f"{path}: not a readable CSV file in UTF-8: {error}"
        raise TableError(message) from error
    if wrong:
        raise _refusal(path, wrong)
    return _pivot(path, rows, models)


def _refusal(path: Path, wrong: Sequence[str]) -> TableError:
    rest = [f"{path}: and {len(wrong) - _SHOWN} more of these"] * (len(wrong) > _SHOWN)
    return TableError(*wrong[:_SHOWN], *rest)


def _rows(path: Path, reader: csv.DictReader[str], wrong: list[str]) -> Iterator[_Row]:
    """All rows with a score; what cannot be read is added to `wrong`."""
    columns = list(reader.fieldnames or ())
    wide = models_of(columns)
    if not wide and not set(columns) >= _LONG:
        message = f"{path}: needs the columns {sorted(_LONG)}, or per model NAME and NAME{COST}"
        raise TableError(message)
    for row in reader:
        for score, cost, text in (
            [(name, name + COST, name + REPLY) for name in wide]
            if wide
            else [("score", "cost_usd", "response")]
        ):
            if not row.get(score):
                continue
            place = f"{path}:{reader.line_num}"
            right = _number(row[score], f"{place}: {score}", 1.0, wrong)
            paid = _number(row.get(cost) or "nan", f"{place}: {cost}", inf, wrong)
            yield _Row(
                query=row.get("sample_id") or str(reader.line_num) if wide else row["query_id"],
                group=row.get("eval_name" if wide else "group") or "",
                model=score if wide else row["model"],
                prompt=row.get("prompt") or "",
                score=right,
                cost=paid,
                source="table" if wide else row.get("cost_source") or "",
                reply=row.get(text) or "",
            )


def _number(text: str, place: str, most: float, wrong: list[str]) -> float:
    """A number from 0 to `most`; nan, which only a cost may be, is unknown."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not ((0 <= found <= most and found < inf) or (isnan(found) and most == inf)):
        upper = f"from 0 to {most:g}" if most < inf else "of 0 or more"
        wrong.append(f"{place}: write a number {upper}, not {text[:40]!r}")
    return found


def _pivot(path: Path, rows: Sequence[_Row], models: Sequence[str]) -> Table:
    known = dict.fromkeys(row.model for row in rows)
    names = tuple(models) or tuple(known)
    wrong = [
        f"{path}: no model {name!r}; the table has {', '.join(known)}"
        for name in dict.fromkeys(names)
        if name not in known
    ]
    wrong += [
        f"{path}: {name!r} is named twice; name each model once"
        for name, times in Counter(names).items()
        if times > 1
    ]
    if len(names) < 2:  # noqa: PLR2004 - there is nothing to choose between
        wrong.append(
            f"{path}: routing needs two models, not {len(names)}; "
            f"the table has {', '.join(known) or 'none'}"
        )
    if wrong:
        raise TableError(*wrong)
    by_query: dict[str, dict[str, _Row]] = {}
    for row in rows:
        first = by_query.setdefault(row.query, {}).setdefault(row.model, row)
        # Compared as text: an unknown cost is nan, which equals nothing.
        if first is not row and repr(first) != repr(row):
            wrong.append(
                f"{path}: question {row.query!r} has two replies of {row.model!r} that differ;"
                " keep one, or give each question an id of its own"
            )
    if wrong:
        raise _refusal(path, wrong)
    kept = [found for found in by_query.values() if all(name in found for name in names)]
    if not kept:
        message = (
            f"{path}: no question was answered by all of {', '.join(names)}; "
            "name models that answered the same questions"
        )
        raise TableError(message)
    cost = np.array([[found[name].cost for name in names] for found in kept])
    unknown = np.isnan(cost)
    if unknown.all(axis=0).any():
        names_of = [name for name, bad in zip(names, unknown.all(axis=0), strict=True) if bad]
        message = f"{path}: cost_usd is empty for {names_of}; give a cost or leave them out"
        raise TableError(message)
    sources = {found[name].source for found in kept for name in names}
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
        cost_sources=tuple(sorted(sources - {""})),
        left_out=len(by_query) - len(kept),
    )
