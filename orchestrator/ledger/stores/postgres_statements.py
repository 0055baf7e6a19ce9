"""Statements with their values, as they wait to be sent together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from orchestrator.ledger.records import AttemptIntent
from orchestrator.ledger.stores import columns, postgres_sql
from orchestrator.ledger.stores.columns import Row
from orchestrator.ledger.stores.rows import Hold, Wanted, life_us


class Statement(NamedTuple):
    """One statement and its values."""

    query: LiteralString | bytes
    values: Sequence[object] = ()


BEGIN = Statement("BEGIN")
BEGIN_SNAPSHOT = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
COMMIT = Statement("COMMIT")


def granted_values(hold: Hold, intent: AttemptIntent) -> Row:
    """A row of ``attempts``, and how long its hold lives once it is granted."""
    return (*columns.intent_values(hold, intent), life_us(intent))


def loading(wanted: Wanted) -> list[Statement]:
    """What finds holds, accounts and, which are rarely unknown, tasks, in this order."""
    holds = list(wanted.holds)
    statements = [
        Statement(postgres_sql.HOLDS, (holds,)),
        Statement(postgres_sql.ACCOUNTS, (list(wanted.accounts), holds)),
    ]
    if wanted.tasks:
        statements.append(Statement(postgres_sql.TASKS, (list(wanted.tasks),)))
    return statements
