"""The SQLite schema, as numbered migrations. One that has shipped is never edited."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.ledger.stores import sqlite_tables
from orchestrator.ledger.stores.rows import to_us
from orchestrator.ledger.stores.versions import check_newest

MIGRATIONS: Sequence[tuple[str, str]] = (
    (
        "ledger",
        sqlite_tables.FACTS + sqlite_tables.CACHES + sqlite_tables.VIEWS + sqlite_tables.GUARDS,
    ),
    ("savings", sqlite_tables.SAVINGS),
    ("lessons", sqlite_tables.LESSONS),
    (
        "corrections",
        sqlite_tables.CORRECTIONS + sqlite_tables.append_only("corrections", "number = new.number"),
    ),
    (
        "thresholds",
        sqlite_tables.THRESHOLDS
        + sqlite_tables.append_only(
            "crossings", "account = new.account AND share = new.share AND amount = new.amount"
        ),
    ),
    ("steady holds", sqlite_tables.STEADY_HOLDS),
    ("quick ends", sqlite_tables.QUICK_ENDS),
    ("origins", sqlite_tables.ORIGINS),
    ("words", sqlite_tables.WORDS),
)
"""Name and statements of each migration; their numbers count from 1."""


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the migrations that have not run, each in a transaction of its own.

    Raises:
        LedgerUnavailable: If the file was written by a newer version.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at_us INTEGER NOT NULL) STRICT"
    )
    for number, (name, statements) in enumerate(MIGRATIONS, start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Inside the lock: another process may have just done it.
            if _newest(connection) < number:
                for statement in _split(statements):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (number, name, to_us(datetime.now(UTC))),
                )
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    check_version(connection)


def check_version(connection: sqlite3.Connection) -> None:
    """See that the schema is this version's.

    Raises:
        LedgerUnavailable: If it is older or newer.
    """
    check_newest(_newest(connection), known=len(MIGRATIONS))


def _newest(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    return int(number)


def _split(statements: str) -> list[str]:
    """One statement each: ``executescript`` would commit in between."""
    parts: list[str] = []
    current = ""
    for line in statements.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            parts.append(current)
            current = ""
    return parts
