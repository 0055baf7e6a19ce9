"""Recorded answers, read from JSON lines or CSV.

JSON lines: one object per line. CSV: RFC 4180 with a header. Either may be gzipped (``.gz``).

| field | meaning |
|---|---|
| ``model`` | required: who answered |
| ``prompt`` | required: the question, as it stands in what is asked |
| ``response`` | required: the answer's text |
| ``query_id`` or ``id`` | name of the question in the log; default: the line number |
| ``input_tokens``, ``output_tokens`` | default: one per four characters, rounded up, at least one |
| ``cached_input_tokens``, ``reasoning_tokens`` | inside the two above; default 0 |
| ``latency_s`` | seconds to the first byte; default 0 |
| ``finish_reason`` | default ``stop``, with tool calls ``tool_calls`` |
| ``tool_calls``, ``logprobs`` | JSON lines only, in OpenAI's form |

Other fields (``group``, ``score`` ...) are ignored. In CSV an empty field is an unknown value: rows
without a prompt cannot be asked for and are counted in ``Recording.skipped``; a row without a
response is answered with :data:`TEXT_UNKNOWN` and its recorded token counts.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from orchestrator.core.errors import OrchestratorError

TEXT_UNKNOWN = "(no text was recorded)"
CHARACTERS_PER_TOKEN = 4
_REQUIRED = ("model", "prompt", "response")
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_FIELD_LIMIT = 2**31 - 1


class RecordingError(OrchestratorError):
    """A recording cannot be used. Lists every bad line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReply:
    """What one model once answered to one question. Fields as in a recording's lines."""

    model: str
    prompt: str
    response: str
    query_id: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    latency_s: float = 0.0
    finish_reason: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    logprobs: Mapping[str, Any] | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output tokens, estimated where they were not recorded."""
        given = self.input_tokens, self.output_tokens
        texts = self.prompt, self.response
        first, second = (
            max(1, math.ceil(len(text) / CHARACTERS_PER_TOKEN)) if count is None else count
            for count, text in zip(given, texts, strict=True)
        )
        return first, second


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded replies, in the order of their lines.

    Attributes:
        replies: The replies.
        skipped: CSV rows left out because their prompt is unknown.
    """

    replies: tuple[RecordedReply, ...]
    skipped: int = 0

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recording:
        """Read ``.jsonl`` or ``.csv``, each also with ``.gz``.

        Raises:
            RecordingError: If there is no such file, it has bad lines (all are named), or nothing
                in it can be asked for.
        """
        file = Path(path)
        suffix = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
        rows = {".jsonl": _jsonl_rows, ".csv": _csv_rows}.get(suffix)
        if rows is None:
            message = f"{path}: a recording is a .jsonl or .csv file, or one of them with .gz"
            raise RecordingError(message)
        try:
            with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
                text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
                return _gather(str(path), rows(text), empty_is_unknown=suffix == ".csv")
        except (OSError, EOFError, UnicodeDecodeError) as error:
            message = f"{path}: cannot be read: {error}"
            raise RecordingError(message) from error


def _gather(
    path: str, rows: Iterator[tuple[int, Mapping[str, Any] | str]], *, empty_is_unknown: bool
) -> Recording:
    replies: list[RecordedReply] = []
    problems: list[str] = []
    skipped = 0
    for line, row in rows:
        if isinstance(row, str):
            problems.append(f"{path}:{line}: {row}")
        elif empty_is_unknown and row.get("prompt") == "":
            skipped += 1
        else:
            reply, mistakes = _reply(row, line, empty_is_unknown=empty_is_unknown)
            problems += [f"{path}:{line}: {mistake}" for mistake in mistakes]
            replies += [] if reply is None else [reply]
    if not problems and not replies:
        problems = [f"{path}: no line has a prompt and a reply"]
    if problems:
        raise RecordingError("\n".join(problems))
    return Recording(tuple(replies), skipped)


def _jsonl_rows(text: io.TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield number, f"is no JSON: {error}"
            continue
        yield number, row if isinstance(row, dict) else "is no JSON object"


def _csv_rows(text: io.TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    before = csv.field_size_limit(_FIELD_LIMIT)  # prompts are longer than the default of 128 KiB
    try:
        reader = csv.DictReader(text, strict=True)
        missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            yield 1, f"has no column {', '.join(missing)}"
            return
        while True:
            number = reader.line_num + 1  # a quoted field may hold many lines
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield number, f"is no CSV: {error}"
                return
            if row is None:
                return
            ragged = None in row or None in row.values()
            yield number, "has another number of fields than the header" if ragged else row
    finally:
        csv.field_size_limit(before)


def _reply(
    row: Mapping[str, Any], line: int, *, empty_is_unknown: bool
) -> tuple[RecordedReply | None, list[str]]:
    """The reply in ``row``, or what is wrong with it."""
    known = {key: value for key, value in row.items() if value is not None}
    if empty_is_unknown:
        known = {key: value for key, value in known.items() if value != ""}
        known.setdefault("response", TEXT_UNKNOWN)
    mistakes = [
        f"{name} must be a text, not {known.get(name)!r}"
        for name in _REQUIRED
        if not isinstance(known.get(name), str) or (name != "response" and not known[name].strip())
    ]
    fields: dict[str, Any] = {name: known.get(name) for name in _REQUIRED}
    fields["query_id"] = str(known.get("query_id", known.get("id", line)))
    for name in (*_COUNTS, "latency_s"):
        if name in known:
            number = _number(known[name])
            if number is None or (name in _COUNTS and number != int(number)):
                what = "a whole number" if name in _COUNTS else "a number"
                mistakes.append(f"{name} must be {what}, at least 0, not {known[name]!r}")
            else:
                fields[name] = number if name == "latency_s" else int(number)
    for name, kind in (("finish_reason", str), ("tool_calls", list), ("logprobs", dict)):
        if name in known and not (empty_is_unknown and kind is not str):
            if isinstance(known[name], kind):
                fields[name] = tuple(known[name]) if kind is list else known[name]
            else:
                mistakes.append(f"{name} must be a {kind.__name__}, not {known[name]!r}")
    return (None, mistakes) if mistakes else (RecordedReply(**fields), [])


def _number(value: object) -> float | None:
    """A finite number of at least zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
