"""The yardsticks, written out: the least SQL that reserves on one budget, settles and journals.

No tree of budgets, no fencing, no waiting, no evidence: what is above them in a comparison is what
these cost in the ledger.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

BOUND, COST = 90, 40
_BUDGET = 10**15
_SCHEMA = """
CREATE TABLE budget (spent INTEGER NOT NULL, held INTEGER NOT NULL, most INTEGER NOT NULL);
CREATE TABLE attempts (
    id TEXT PRIMARY KEY, bound INTEGER NOT NULL, cost INTEGER, reply BLOB, at_us INTEGER NOT NULL
);
"""


class BareSqlite:
    """One file, write-ahead log, every commit on disk."""

    def __init__(self, path: Path) -> None:
        """Make the tables."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT INTO budget VALUES (0, 0, ?)", (_BUDGET,))

    def reserve(self, ids: Sequence[str], at_us: int) -> None:
        """One transaction for all of them."""
        with self._transaction():
            for attempt_id in ids:
                self._db.execute(
                    "UPDATE budget SET held = held + ? WHERE spent + held + ? <= most",
                    (BOUND, BOUND),
                )
                self._db.execute(
                    "INSERT INTO attempts VALUES (?, ?, NULL, NULL, ?)", (attempt_id, BOUND, at_us)
                )

    def settle(self, ids: Sequence[str], reply: bytes) -> None:
        """One transaction for all of them."""
        with self._transaction():
            for attempt_id in ids:
                self._db.execute(
                    "UPDATE budget SET held = held - ?, spent = spent + ?", (BOUND, COST)
                )
                self._db.execute(
                    "UPDATE attempts SET cost = ?, reply = ? WHERE id = ?",
                    (COST, reply, attempt_id),
                )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        yield
        self._db.execute("COMMIT")


class BarePostgres:
    """One conditional UPDATE of one hot row per call, on many connections at once."""

    def __init__(self, url: str) -> None:
        """Open it with :meth:`open`."""
        self._url = url
        self._opened: list[psycopg.AsyncConnection[object]] = []

    async def open(self, connections: int) -> None:
        """Make the table anew, and connect so many times: once for all, not in anybody's time."""
        import psycopg  # noqa: PLC0415 - an extra

        self._opened = [
            await psycopg.AsyncConnection.connect(self._url, autocommit=True)
            for _ in range(connections)
        ]
        db = self._opened[0]
        await db.execute("DROP TABLE IF EXISTS bare_budget")
        await db.execute(
            "CREATE TABLE bare_budget (spent BIGINT, held BIGINT, most BIGINT)"
            " WITH (fillfactor = 10)"
        )
        await db.execute("INSERT INTO bare_budget VALUES (0, 0, %s)", (_BUDGET,))

    async def aclose(self) -> None:
        """Disconnect."""
        for db in self._opened:
            await db.close()

    async def calls(self, count: int) -> None:
        """So many calls, each connection its part of them."""

        async def work(db: psycopg.AsyncConnection[object]) -> None:
            for _ in range(count // len(self._opened)):
                await db.execute(
                    "UPDATE bare_budget SET held = held + %s WHERE spent + held + %s <= most",
                    (BOUND, BOUND),
                )

        await asyncio.gather(*(work(db) for db in self._opened))
