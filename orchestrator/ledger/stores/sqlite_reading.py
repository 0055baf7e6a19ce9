"""Reading a ledger in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.stores.columns import Row
from orchestrator.ledger.stores.reading import LedgerReader
from orchestrator.ledger.stores.sqlite_schema import check_version


class SqliteReader(LedgerReader):
    """A read-only connection to a SQLite ledger."""

    def __init__(self, path: Path) -> None:
        """Connect.

        Raises:
            LedgerUnavailable: If there is no ledger, or one this version cannot read.
        """
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        except sqlite3.OperationalError as error:
            message = f"there is no ledger at {path}; run an agent first, or name another store"
            raise LedgerUnavailable(message) from error
        try:
            # Not mode=ro: a write-ahead log cannot be read without its index, which may be absent.
            self._db.execute("PRAGMA query_only = ON")
            check_version(self._db)
        except (sqlite3.Error, LedgerUnavailable) as error:
            self._db.close()
            message = f"{path} is no ledger this version can read: {error}"
            raise LedgerUnavailable(message) from error

    def close(self) -> None:
        """Disconnect."""
        self._db.close()

    def _query(self, statement: str, values: Sequence[object]) -> Iterator[Row]:
        try:
            yield from self._db.execute(statement, values)
        except sqlite3.Error as error:
            message = f"the ledger cannot be read: {error}"
            raise LedgerUnavailable(message) from error
