"""What a store on SQLite is asked rarely: tasks, bodies, histories, sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import HaltReason
from orchestrator.core.scope import SCOPE_KINDS
from orchestrator.ledger import sqlite_rows as rows
from orchestrator.ledger.codec import from_json
from orchestrator.ledger.records import (
    Account,
    AttemptRecord,
    TaskHistory,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.rows import AccountRow, Body, BodyKind, Fact, Hold, TaskState, to_us

# CROSS JOIN fixes the order. A user and a task have few attempts and are met all day long; the
# others have many, and are met when their window has just begun and few attempts lie in it.
_SPENT_BY_HOLDER = """
SELECT coalesce(sum(coalesce(e.cost, a.reserve)), 0), coalesce(sum(e.overrun), 0)
FROM task_holders h CROSS JOIN attempts a ON a.task_id = h.task_id
LEFT JOIN ends e ON e.seq = a.seq
WHERE h.kind = ? AND h.identity = ? AND a.at_us >= ? AND a.at_us < ?
"""
_SPENT_BY_TIME = """
SELECT coalesce(sum(coalesce(e.cost, a.reserve)), 0), coalesce(sum(e.overrun), 0)
FROM attempts a INDEXED BY attempts_by_time CROSS JOIN task_holders h ON h.task_id = a.task_id
LEFT JOIN ends e ON e.seq = a.seq
WHERE h.kind = ? AND h.identity = ? AND a.at_us >= ? AND a.at_us < ?
"""
_ORPHANS = """
SELECT 'attempt ' || attempt_id || ' has no task ' || task_id FROM attempts
    WHERE task_id NOT IN (SELECT task_id FROM tasks)
UNION ALL SELECT 'attempt ' || attempt_id || ' has no account ' || account.value
    FROM attempts, json_each(account_ids) account
    WHERE account.value NOT IN (SELECT account_id FROM accounts)
UNION ALL SELECT 'end ' || seq || ' has no attempt' FROM ends
    WHERE seq NOT IN (SELECT seq FROM attempts)
UNION ALL SELECT 'hold ' || seq || ' has no open attempt' FROM holds
    WHERE seq NOT IN (SELECT seq FROM attempts) OR seq IN (SELECT seq FROM ends)
UNION ALL SELECT 'reply ' || seq || ' has no ended attempt' FROM replies
    WHERE seq NOT IN (SELECT seq FROM ends)
UNION ALL SELECT 'open attempt ' || attempt_id || ' has no hold' FROM attempts
    WHERE seq NOT IN (SELECT seq FROM ends) AND seq NOT IN (SELECT seq FROM holds)
UNION ALL SELECT 'decision for ' || key || ' has no attempt ' || attempt_id FROM decisions
    WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts)
UNION ALL SELECT kind || ' body has no task ' || task_id FROM bodies
    WHERE task_id NOT IN (SELECT task_id FROM tasks)
UNION ALL SELECT 'mark ' || kind || ' ' || key || ' has no task ' || task_id FROM marks
    WHERE task_id NOT IN (SELECT task_id FROM tasks)
"""
_FIRST_US = -(2**63)
_LAST_US = 2**63 - 1


class SqliteQueries:
    """The part of a SQLite store that is off the hot path."""

    def __init__(self) -> None:
        """Not connected."""
        self._db: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            message = "the ledger is not open"
            raise LedgerUnavailable(message)
        return self._db

    def insert_task(self, opening: TaskOpening, state: TaskState) -> None:
        """Store a new task, without its input."""
        scope = opening.scope
        self._connection.execute(
            "INSERT INTO tasks (task_id, org, team, agent, user, tenant, ancestors, tags, graph,"
            " policy, input_type, budget, timeout_s, parent_key, at_us, owner, status, epoch,"
            " signal, updated_at_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows.opening_values(opening, state),
        )
        holders = [(kind, scope.identity(kind)) for kind in SCOPE_KINDS]
        holders += [("task", ancestor) for ancestor in scope.ancestors]
        self._connection.executemany(
            "INSERT OR IGNORE INTO task_holders VALUES (?, ?, ?)",
            [(kind, holder, scope.task_id) for kind, holder in holders if holder is not None],
        )

    def update_task(self, record: TaskRecord, signal: HaltReason | None) -> None:
        """Replace what may change about a task; never how it started, nor its bodies."""
        self._connection.execute(
            "UPDATE tasks SET owner = ?, status = ?, epoch = ?, signal = ?, added_budget = ?,"
            " extensions = ?, running_s = ?, halt = ?, error = ?, updated_at_us = ?"
            " WHERE task_id = ?",
            rows.update_values(record, signal),
        )

    def task(self, task_id: str) -> TaskRecord | None:
        """The task with its bodies, as far as they are kept."""
        row = self._connection.execute(
            "SELECT t.*, i.body, o.encoding, o.body FROM task_records t"
            " LEFT JOIN bodies i ON i.task_id = t.task_id AND i.kind = 'input'"
            " LEFT JOIN bodies o ON o.task_id = t.task_id AND o.kind = 'output'"
            " WHERE t.task_id = ?",
            (task_id,),
        ).fetchone()
        return None if row is None else rows.read_task(row)

    def descendants(self, task_id: str) -> list[str]:
        """Ids of the tasks that run, or ran, inside this one; outermost first."""
        found = self._connection.execute(
            "SELECT h.task_id FROM task_holders h JOIN tasks t ON t.task_id = h.task_id"
            " WHERE h.kind = 'task' AND h.identity = ? AND h.task_id <> h.identity"
            " ORDER BY json_array_length(t.ancestors), t.rowid",
            (task_id,),
        )
        return [inner for (inner,) in found]

    def insert_account(self, account: Account, seed: AccountRow) -> AccountRow:
        """Store an account that starts with ``seed``, and number it."""
        cursor = self._connection.execute(
            "INSERT INTO accounts (key, kind, identity, window, starts_at_us, ends_at_us, seed,"
            " seed_overrun, settled, reserved, disputed, overrun)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?) RETURNING account_id",
            (
                account.key,
                account.kind,
                account.identity,
                account.window,
                None if account.starts_at is None else to_us(account.starts_at),
                None if account.ends_at is None else to_us(account.ends_at),
                seed.settled,
                seed.overrun,
                seed.settled,
                seed.overrun,
            ),
        )
        ((account_id,),) = cursor.fetchall()
        return AccountRow(account_id, seed.key, settled=seed.settled, overrun=seed.overrun)

    def spent(self, account: Account) -> tuple[int, int]:
        """What the attempts of the account's holder and window cost, and their overrun, in nano."""
        starts_us = _FIRST_US if account.starts_at is None else to_us(account.starts_at)
        ends_us = _LAST_US if account.ends_at is None else to_us(account.ends_at)
        by_time = account.starts_at is not None and account.kind not in ("user", "task")
        row = self._connection.execute(
            _SPENT_BY_TIME if by_time else _SPENT_BY_HOLDER,
            (account.kind, account.identity, starts_us, ends_us),
        ).fetchone()
        return int(row[0]), int(row[1])

    def holds(self, task_ids: Sequence[str]) -> list[Hold]:
        """Open attempts of these tasks."""
        wanted = set(task_ids)
        return [hold for hold in self.overdue(_LAST_US) if hold.task_id in wanted]

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose ``expires_at`` has come."""
        found = self._connection.execute(
            "SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.reserve, a.account_ids, a.at_us,"
            " a.expires_at_us, 1 FROM holds h JOIN attempts a ON a.seq = h.seq"
            " WHERE h.expires_at_us <= ? ORDER BY h.seq",
            (now_us,),
        )
        return [rows.read_hold(row) for row in found]

    def next_seq(self) -> int:
        """The number of the next attempt."""
        ((seq,),) = self._connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM attempts")
        return int(seq)

    def insert_body(self, body: Body) -> None:
        """Store an input or output, in place of the task's former one."""
        self._connection.execute(
            "INSERT OR REPLACE INTO bodies (task_id, kind, encoding, body, expires_at_us)"
            " VALUES (?, ?, ?, ?, ?)",
            body,
        )

    def retain_bodies(
        self, task_ids: Iterable[str], kinds: Sequence[BodyKind], until_us: int | None
    ) -> None:
        """Let these tasks' bodies expire at ``until_us``; ``None``: keep them."""
        for task_id in task_ids:
            self._connection.executemany(
                "UPDATE bodies SET expires_at_us = ? WHERE task_id = ? AND kind = ?",
                [(until_us, task_id, kind) for kind in kinds],
            )
            if "reply" in kinds:
                self._connection.execute(
                    "UPDATE replies SET expires_at_us = ?"
                    " WHERE seq IN (SELECT seq FROM attempts WHERE task_id = ?)",
                    (until_us, task_id),
                )

    def delete_bodies(self, task_ids: Iterable[str], kinds: Sequence[BodyKind]) -> int:
        """Remove these tasks' bodies; how many there were."""
        deleted = 0
        for task_id in task_ids:
            deleted += self._connection.executemany(
                "DELETE FROM bodies WHERE task_id = ? AND kind = ?",
                [(task_id, kind) for kind in kinds],
            ).rowcount
            if "reply" in kinds:
                deleted += self._connection.execute(
                    "DELETE FROM replies WHERE seq IN (SELECT seq FROM attempts WHERE task_id = ?)",
                    (task_id,),
                ).rowcount
        return deleted

    def overwrite_deleted(self) -> None:
        """Overwrite what is deleted from now on; copies in the log go with its next checkpoint."""
        self._connection.execute("PRAGMA secure_delete = ON")

    def tasks_of(self, user: str, tenant: str | None) -> list[tuple[str, TaskStatus]]:
        """The tasks for a user, in one tenant or in all, with their status."""
        return self._connection.execute(
            "SELECT task_id, status FROM tasks WHERE user = ? AND tenant = coalesce(?, tenant)",
            (user, tenant),
        ).fetchall()

    def purge_bodies(self, now_us: int) -> None:
        """Remove the bodies whose time has come."""
        self._connection.execute("DELETE FROM bodies WHERE expires_at_us <= ?", (now_us,))
        self._connection.execute("DELETE FROM replies WHERE expires_at_us <= ?", (now_us,))

    def abandoned(self, before_us: int) -> list[str]:
        """Tasks still called running that gave no sign of life since ``before_us``."""
        found = self._connection.execute(
            "SELECT t.task_id FROM tasks t WHERE t.status = 'running' AND t.updated_at_us <= ?"
            " AND NOT EXISTS"
            " (SELECT 1 FROM attempts a WHERE a.task_id = t.task_id AND a.at_us > ?)",
            (before_us, before_us),
        )
        return [task_id for (task_id,) in found]

    def history(self, task_id: str) -> TaskHistory:
        """Attempts, decisions and marks of a task."""
        execute = self._connection.execute
        attempts = execute(
            "SELECT r.*, p.body FROM attempt_records r LEFT JOIN replies p ON p.seq = r.seq"
            " WHERE r.task_id = ? ORDER BY r.seq",
            (task_id,),
        )
        decisions = execute(
            "SELECT task_id, key, step, attempt_id, accepted, confidence, confidence_state,"
            " checks, at_us FROM decisions WHERE task_id = ? ORDER BY seq",
            (task_id,),
        )
        marks = execute("SELECT kind, key FROM marks WHERE task_id = ? ORDER BY kind", (task_id,))
        return TaskHistory(
            attempts=tuple(rows.read_attempt(row, reply=row[-1]) for row in attempts),
            decisions={row[1]: rows.read_decision(row) for row in decisions},
            marks={
                kind: frozenset(key for _, key in group)
                for kind, group in groupby(marks, key=lambda mark: mark[0])
            },
        )

    def in_doubt(self, task_id: str | None) -> list[AttemptRecord]:
        """Attempts whose owner died, without replies; of one task or of all."""
        found = self._connection.execute(
            "SELECT * FROM attempt_records WHERE end = 'expired' AND task_id = coalesce(?, task_id)"
            " ORDER BY seq",
            (task_id,),
        )
        return [rows.read_attempt(row) for row in found]

    def accounts(self) -> Iterator[tuple[AccountRow, AccountRow]]:
        """Every account with its seed."""
        for row in self._connection.execute(
            "SELECT account_id, key, settled, reserved, disputed, overrun, seed, seed_overrun"
            " FROM accounts ORDER BY account_id"
        ):
            seed = AccountRow(row[0], row[1], settled=row[6], overrun=row[7])
            yield AccountRow(*row[:6]), seed

    def facts(self) -> Iterator[Fact]:
        """Every attempt."""
        for row in self._connection.execute(
            "SELECT a.attempt_id, a.reserve, a.account_ids, e.kind, coalesce(e.cost, 0),"
            " coalesce(e.overrun, 0) FROM attempts a LEFT JOIN ends e ON e.seq = a.seq"
        ):
            yield Fact(row[0], row[1], tuple(from_json(row[2])), *row[3:])

    def orphans(self) -> list[str]:
        """Rows that refer to a row that is not there, each described."""
        return [text for (text,) in self._connection.execute(_ORPHANS)]
