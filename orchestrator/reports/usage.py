"""A provider's usage, as a CSV file of one row for each request."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.money import Money

REQUIRED = ("time", "model", "cost_usd")
OPTIONAL = ("request_id", "input_tokens", "output_tokens")
BOM = "utf-8-sig"
MAX_USD = 10**9


class UsageError(OrchestratorError):
    """A usage file cannot be read; every mistake is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One request, as its provider billed it.

    Attributes:
        line: Its line in the file.
        at: When, within the minutes that a provider's clock may differ.
        model: The provider's name for the model.
        cost: What was billed.
        request_id: The attempt's id, where the provider was told it; else the provider's own.
        tokens: Input and output tokens; ``None`` where the file does not say.
    """

    line: int
    at: datetime
    model: str
    cost: Money
    request_id: str = ""
    tokens: tuple[int, int] | None = None


def read_usage(path: Path) -> list[Usage]:
    """Read a usage file: ``time,model,cost_usd`` and perhaps ids and tokens, in any order.

    Other columns are left alone.

    Raises:
        UsageError: If anything in it is wrong, with every mistake.
    """
    try:
        with path.open(encoding=BOM, newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = [name for name in REQUIRED if name not in (rows.fieldnames or ())]
            if missing:
                message = (
                    f"{path} has no column {', '.join(missing)}; its first line must name "
                    f"{', '.join(REQUIRED)} and may name {', '.join(OPTIONAL)}"
                )
                raise UsageError(message)
            return _read(path, rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{path} cannot be read: {error}"
        raise UsageError(message) from error


def _read(path: Path, rows: csv.DictReader[str]) -> list[Usage]:
    found: list[Usage] = []
    mistakes: list[str] = []
    for row in rows:
        try:
            found.append(_usage(rows.line_num, row))
        except ValueError as error:
            mistakes.append(f"{path}:{rows.line_num}: {error}")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return found


def _usage(line: int, row: Mapping[str, str | None]) -> Usage:
    texts = {name: (row.get(name) or "").strip() for name in (*REQUIRED, *OPTIONAL)}
    return Usage(
        line=line,
        at=_moment(texts["time"]),
        model=texts["model"],
        cost=_cost(texts["cost_usd"]),
        request_id=texts["request_id"],
        tokens=_tokens(texts["input_tokens"], texts["output_tokens"]),
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"time {text!r} is no moment; write 2026-11-01T08:00:00Z"
        raise ValueError(message) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _cost(text: str) -> Money:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= MAX_USD:
        message = f"cost_usd {text!r} is no amount; write USD such as 0.0123"
        raise ValueError(message)
    return Money.from_usd_rounded_up(amount)


def _tokens(into: str, out: str) -> tuple[int, int] | None:
    if not into and not out:
        return None
    if not (into.isdecimal() and out.isdecimal()):
        message = f"input_tokens {into!r} and output_tokens {out!r} are no counts; write both"
        raise ValueError(message)
    return int(into), int(out)
