"""Reading a ledger in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import psycopg

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.stores.columns import Row
from orchestrator.ledger.stores.postgres_connection import connect, place_from_url
from orchestrator.ledger.stores.postgres_schema import check_version
from orchestrator.ledger.stores.postgres_sql import translated
from orchestrator.ledger.stores.reading import LedgerReader


class PostgresReader(LedgerReader):
    """A read-only connection to a ledger on PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Connect.

        Args:
            url: ``postgresql://user@host/database?schema=name``.

        Raises:
            LedgerUnavailable: If there is no ledger, or one this version cannot read.
        """
        try:
            self._db = connect(place_from_url(url))
        except psycopg.Error as error:
            message = f"the ledger's database cannot be reached: {error}"
            raise LedgerUnavailable(message) from error
        self._numbers = count(1)
        try:
            self._db.execute("SET default_transaction_read_only = on")
            check_version(self._db)
        except psycopg.Error as error:
            self._db.close()
            message = f"the ledger cannot be read: {error}"
            raise LedgerUnavailable(message) from error
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        self._db.close()

    def _query(self, statement: str, values: Sequence[object]) -> Iterator[Row]:
        try:
            # On the server: what a period holds may be more than fits the memory here.
            name = f"rows_{next(self._numbers)}"
            with self._db.cursor(name, withhold=True) as cursor:
                yield from cursor.execute(translated(statement), values)
        except psycopg.Error as error:
            message = f"the ledger cannot be read: {error}"
            raise LedgerUnavailable(message) from error
