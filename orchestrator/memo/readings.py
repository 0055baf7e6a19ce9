"""What an answer is made from comes to light while it is made: by what is called for it.

A result of a tool that calls another tool, or asks a step, is made from the sources of those too.
Each of them notes what it read, as it was before it was asked; who calls them gathers that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

CHANGED = ""
"""The version of a source that was read in two versions, or in one nobody knows. No source ever has
it, so what was made from it is stale."""

_GATHERED: ContextVar[dict[str, str] | None] = ContextVar("orchestrator_readings", default=None)


@contextmanager
def gathered() -> Iterator[dict[str, str]]:
    """The versions of all that is read inside, by source; in its tasks and threads too."""
    readings: dict[str, str] = {}
    token = _GATHERED.set(readings)
    try:
        yield readings
    finally:
        _GATHERED.reset(token)


def note_readings(readings: Mapping[str, str]) -> None:
    """Tell who gathers here, if anyone does, what was read."""
    around = _GATHERED.get()
    if around is not None:
        add_readings(around, readings)


def note_unknown(sources: Iterable[str]) -> None:
    """Tell who gathers here that these were read, nobody knows in which version."""
    note_readings(dict.fromkeys(sources, CHANGED))


def note_replay() -> None:
    """Tell who gathers here that something was made before, by a task that was resumed since.

    What was read then was not noted, so whatever is made from it now is kept for nobody.
    """
    note_unknown(("",))


def add_readings(readings: dict[str, str], more: Mapping[str, str]) -> None:
    """Take in ``more``; a source in two versions has changed meanwhile."""
    for name, version in more.items():
        if readings.setdefault(name, version) != version:
            readings[name] = CHANGED
