"""A logger of our own: JSON lines, without touching structlog's global configuration."""

from __future__ import annotations

import sys
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger


def make_logger(file: TextIO | None = None) -> FilteringBoundLogger:
    """A logger that writes one JSON object per line.

    Args:
        file: A text stream; standard error (as it is at the time of writing) unless given.
    """
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            _Lines(file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged_at"),
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("info"),
            context_class=dict,
            cache_logger_on_first_use=False,
        ),
    )


class _Lines:
    """Writes each line with one call, so that lines of several threads do not mix."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def _write(self, line: str) -> None:
        file = sys.stderr if self._file is None else self._file
        file.write(f"{line}\n")
        file.flush()

    info = warning = error = _write


def _to_json(event: object, **_options: Any) -> str:  # noqa: ANN401 - structlog's own signature
    return orjson.dumps(event, default=str).decode()
