"""Suites: questions with the answers they should get.

YAML (a list, or a list under ``samples:``), JSON lines or CSV with a header; UTF-8.

| field | meaning |
|---|---|
| ``question`` or ``prompt`` | required: what is asked |
| ``answer`` or ``gold`` | required: the right answer, as text; numbers keep their digits |
| ``id`` | unique name of the sample; default: its place in the suite, from 1 |
| ``group`` | its kind, for results per group; default: none |

Other fields are ignored, so that exports of other tools can be used as they are. Wide tables of
recorded replies are suites too, as `bench.wide` describes them. CSV may be packed (``.csv.gz``).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.bench.wide import CSV_FIELD, models_of, sample_fields
from orchestrator.core.errors import OrchestratorError

Row = tuple[int, Mapping[str, str] | str | None]
"""A line number with the fields found there, or with what is wrong there, or with nothing: no right
answer is known."""


class SuiteError(OrchestratorError):
    """A suite cannot be used. Lists every mistake, each with file and line."""

    def __init__(self, problems: list[str]) -> None:
        """Gather ``problems``, which must not be empty."""
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Sample:
    """One question of a suite.

    Attributes:
        id: Its name, unique in the suite.
        question: What is asked.
        answer: The right answer.
        group: Its kind; empty if it has none.
    """

    id: str
    question: str
    answer: str
    group: str = ""


def read_suite(
    path: str | os.PathLike[str], on_left_out: Callable[[int], None] = lambda _line: None
) -> tuple[Sample, ...]:
    """Read a suite from ``.yaml``, ``.yml``, ``.jsonl``, ``.csv`` or ``.csv.gz``.

    Args:
        path: Where it is.
        on_left_out: Told of each line of a wide table whose right answer nothing tells.

    Raises:
        SuiteError: If there is no such file or it has mistakes; all are named.
    """
    file = Path(path)
    rows = _READERS.get(file.suffix if file.suffix != ".gz" else "".join(file.suffixes[-2:]))
    if rows is None:
        raise SuiteError([f"{path}: a suite is a file in {', '.join(_READERS)}."])
    try:
        text = _text_of(file)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SuiteError([f"{path}: cannot be read: {error}"]) from error
    samples: dict[str, Sample] = {}
    problems: list[str] = []
    for place, (line, row) in enumerate(rows(text), start=1):
        if row is None:
            on_left_out(line)
            continue
        mistakes = [row] if isinstance(row, str) else list(_mistakes(row))
        if not mistakes and not isinstance(row, str):
            sample = _sample(row, place)
            if sample.id in samples:
                mistakes = [f"id: {sample.id!r} is already taken; give each sample its own."]
            samples.setdefault(sample.id, sample)
        problems += [f"{path}:{line}: {mistake}" for mistake in mistakes]
    if not problems and not samples:
        problems = [f"{path}: holds no samples."]
    if problems:
        raise SuiteError(problems)
    return tuple(samples.values())


def _text_of(file: Path) -> str:
    if file.suffix != ".gz":
        return file.read_text(encoding="utf-8-sig")
    with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as lines:
        return lines.read()


def _mistakes(row: Mapping[str, str]) -> Iterator[str]:
    for name, other in (("question", "prompt"), ("answer", "gold")):
        given = [key for key in (name, other) if row.get(key, "").strip()]
        if not given:
            yield f"{name}: is missing; write {name}: or {other}: with some text."
        elif len(given) > 1:
            yield f"{name}: is given twice, also as {other}; keep one."


def _sample(row: Mapping[str, str], place: int) -> Sample:
    return Sample(
        id=row.get("id", "").strip() or str(place),
        question=row.get("question", "").strip() or row["prompt"].strip(),
        answer=row.get("answer", "").strip() or row["gold"].strip(),
        group=row.get("group", "").strip(),
    )


def _yaml_rows(text: str) -> Iterator[Row]:
    # Composed but not constructed: every scalar stays the text that stands in the file ("0.10"),
    # nothing is built from tags, and aliases cannot multiply.
    try:
        root = YAML(typ="rt").compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        yield (0 if mark is None else mark.line + 1), f"is no YAML: {error.problem}"
        return
    if isinstance(root, MappingNode):
        root = next((value for key, value in root.value if key.value == "samples"), root)
    if root is not None and not isinstance(root, SequenceNode):
        yield _line(root), "is no list of samples; write a list, or one under samples:."
        return
    for node in root.value if root is not None else ():
        yield _line(node), _yaml_fields(node)


def _yaml_fields(node: Node) -> dict[str, str] | str:
    if not isinstance(node, MappingNode):
        return "a sample is a mapping with question: and answer:."
    fields: dict[str, str] = {}
    for key, value in node.value:
        if key.value in fields:
            return f"{key.value}: is given twice; keep one."
        # Only scalars can be fields of ours; whatever else is there is ignored.
        fields[str(key.value)] = value.value if isinstance(value, ScalarNode) else ""
    return fields


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _jsonl_rows(text: str) -> Iterator[Row]:
    # Split at newlines only: JSON strings may hold other line separators.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=str, parse_int=str)
        except (ValueError, RecursionError) as error:
            yield number, f"is no JSON: {error}"
            continue
        if not isinstance(value, dict):
            yield number, "a sample is a JSON object with question and answer."
            continue
        yield number, {key: _text(field) for key, field in value.items()}


def _text(field: object) -> str:
    if isinstance(field, bool):
        return "true" if field else "false"
    return field if isinstance(field, str) else ""


def _csv_rows(text: str) -> Iterator[Row]:
    csv.field_size_limit(CSV_FIELD)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        models = models_of(reader.fieldnames or ())
        for fields in reader:
            row = {key: value or "" for key, value in fields.items() if key is not None}
            if None in fields:
                yield reader.line_num, "has more fields than the header; quote commas."
            else:
                yield reader.line_num, sample_fields(row, models) if models else row
    except csv.Error as error:
        yield reader.line_num, f"is no CSV: {error}"


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    ".yaml": _yaml_rows,
    ".yml": _yaml_rows,
    ".jsonl": _jsonl_rows,
    ".csv": _csv_rows,
    ".csv.gz": _csv_rows,
}
