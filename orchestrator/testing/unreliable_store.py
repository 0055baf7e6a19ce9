"""A store that fails when it is told to, around any other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.ledger.stores.store import OutcomeUnknown, Store

BUSY = "the store is busy"
FULL = "the disk is full"
LOST = "the commit was cut, and nothing is written"
UNHEARD = "the commit was cut, and all is written"
FAULTS = (BUSY, FULL, LOST, UNHEARD)


class Refused(Exception):  # noqa: N818 - names the fact
    """The store did not write, and says so."""


@dataclass(slots=True)
class Commits:
    """How many there were, by all handles to one store."""

    number: int = 0


class UnreliableStore:
    """Passes everything on, and fails once when ``fault`` is set.

    One that belongs to a single process, as the store in memory does, is shared by several of them
    here: this tells each of what the others committed.

    Attributes:
        fault: What happens to the next transaction that writes; one of :data:`FAULTS`.
        met: What happened to the last one.
    """

    def __init__(self, store: Store, commits: Commits) -> None:
        """Stand before ``store``, which shares its rows with all that have the same ``commits``."""
        self.fault: str | None = None
        self.met: str | None = None
        self._store = store
        self._commits = commits
        self._own = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        """What the store has."""
        return getattr(self._store, name)

    def version(self) -> int:
        """A number that differs once somebody else has committed."""
        theirs = self._store.version()
        return theirs if self._store.shared else self._commits.number - self._own

    def begin(self, *, write: bool) -> None:
        """Start a transaction, or fail to."""
        if write:
            self.met, self.fault = self.fault, None
            if self.met == BUSY:
                raise Refused(BUSY)
        self._store.begin(write=write)

    def commit(self) -> None:
        """Make it durable, or not, and say so, or not."""
        if self.met == FULL:
            raise Refused(FULL)
        if self.met == LOST:
            self._store.rollback()
            raise OutcomeUnknown(LOST)
        self._store.commit()
        self._own += 1
        self._commits.number += 1
        if self.met == UNHEARD:
            raise OutcomeUnknown(UNHEARD)
