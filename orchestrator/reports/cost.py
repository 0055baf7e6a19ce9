"""Cost by any dimension, from the ledger and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.stores.reading import Dimension, Total

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


def dimensions(text: str) -> tuple[Dimension, ...]:
    """Read dimensions separated by commas.

    Raises:
        ValueError: If one is unknown, with all that are.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or not names:
        message = f"{', '.join(unknown) or 'nothing'} is no dimension; use {', '.join(DIMENSIONS)}"
        raise ValueError(message)
    return tuple(one for name in dict.fromkeys(names) for one in DIMENSIONS if one == name)


def moment(text: str | None) -> datetime | None:
    """Read a date or a moment in ISO 8601; without a zone it is UTC.

    Raises:
        ValueError: If it is neither.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no moment; write 2026-11-01 or 2026-11-01T08:00+01:00"
        raise ValueError(message) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def cost_by(
    store: str,
    by: Sequence[Dimension],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Total]:
    """What the attempts of a period cost, grouped by ``by``, dearest first.

    Raises:
        LedgerUnavailable: If there is no ledger to read.
    """
    with reader_from_url(store) as reader:
        return reader.totals(by, since=since, until=until)
