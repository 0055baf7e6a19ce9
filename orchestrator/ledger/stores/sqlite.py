"""A store in one SQLite file: only what SQLite does in its own way."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.codec import to_json
from orchestrator.ledger.records import AttemptIntent
from orchestrator.ledger.stores import columns, lesson_rows
from orchestrator.ledger.stores.columns import Row, read_hold
from orchestrator.ledger.stores.queries import OPEN_HOLDS, SqlQueries
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Changes,
    Hold,
    Loaded,
    TaskState,
    Wanted,
    life_us,
)
from orchestrator.ledger.stores.sqlite_schema import migrate
from orchestrator.ledger.stores.steady import SteadyClock
from orchestrator.ledger.stores.store import FaultPoint

BUSY_FOR_S = 5.0
"""How long another process may keep the file locked before the ledger counts as unavailable."""
GIVE_WAY_S = 0.002
"""How long at most who had to wait for the file leaves it to the others after having written."""
LOG_PAGES = 4000
"""How long the write-ahead log grows, in pages of 4 KiB, before it is copied into the file."""

_TASK = "SELECT epoch, status, signal FROM tasks WHERE task_id = ?"
_ACCOUNT_BY_KEY = (
    "SELECT account_id, key, settled, reserved, disputed, overrun FROM accounts WHERE key = ?"
)
# CROSS JOIN fixes the order: each wanted id is looked up. One that is new is wanted too.
_HOLDS = (
    "SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.reserve, a.account_ids, a.at_us,"
    " a.expires_at_us, h.seq IS NOT NULL FROM json_each(?) AS wanted"
    " CROSS JOIN attempts a ON a.attempt_id = wanted.value LEFT JOIN holds h ON h.seq = a.seq"
)
# CROSS JOIN fixes the order. A user and a task have few attempts and are met all day long; the
# others have many, and are met when their window has just begun and few attempts lie in it.
_SPENT = (
    "SELECT coalesce(sum(coalesce(c.cost, e.cost, a.reserve)), 0),"
    " coalesce(sum(coalesce(c.overrun, e.overrun)), 0) FROM {}"
    " LEFT JOIN ends e ON e.seq = a.seq"
    " LEFT JOIN corrections c ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq)"
    " WHERE h.kind = ? AND h.identity = ? AND a.at_us >= ? AND a.at_us < ?"
)


class SqliteStore(SqlQueries):
    """Write-ahead log, every commit on disk, one connection."""

    shared = True
    look_after_s = (0.01, 0.25)

    _accounts_of_attempt: ClassVar[str] = "json_each(account_ids) account"
    _oldest_task_first: ClassVar[str] = "json_array_length(t.ancestors), t.rowid"
    _spent_by_holder: ClassVar[str] = _SPENT.format(
        "task_holders h CROSS JOIN attempts a ON a.task_id = h.task_id"
    )
    _spent_by_time: ClassVar[str] = _SPENT.format(
        "attempts a INDEXED BY attempts_by_time CROSS JOIN task_holders h ON h.task_id = a.task_id"
    )

    def __init__(
        self,
        path: Path,
        *,
        busy_for_s: float = BUSY_FOR_S,
        steady: SteadyClock | None = None,
        faults: Callable[[FaultPoint], None] | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: The file; made with its directory if absent, for this user's eyes only.
            busy_for_s: Seconds to try while another process writes.
            steady: Tells when a hold is overdue, so that nobody's hold expires because somebody
                set the time of day; else the ledger's own clock does.
            faults: Called at named points, so that a test can fail or die there.
        """
        self._db: sqlite3.Connection | None = None
        self._had_to_wait = False
        self._not_before = 0.0
        self._path = path
        self._faults = faults
        self._steady = steady
        # Jittered, and not SQLite's own handler: that one sleeps in lock-step and starves some.
        # Short, for a transaction is: who sleeps through its end is overtaken, again and again.
        self._patiently = Retrying(
            retry=retry_if_exception(is_busy),
            wait=wait_random_exponential(multiplier=0.0002, max=0.002),
            stop=stop_after_delay(busy_for_s),
            reraise=True,
        )

    def open(self) -> None:
        """Connect and bring the schema up to date.

        Raises:
            LedgerUnavailable: If the file cannot hold a ledger.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its side files the mode of the main one, so that one has to be there first.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, cached_statements=256
        )
        try:
            self._patiently(self._prepare)
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            message = f"{self._path} cannot use a write-ahead log; put it on a local disk"
            raise LedgerUnavailable(message)
        # Paid calls must survive a power cut: each commit waits for the disk.
        self._connection.execute("PRAGMA synchronous = FULL")
        # The same pages are written all the time: the log is copied into the file rarely.
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        migrate(self._connection)

    def close(self) -> None:
        """Disconnect."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            message = "the ledger is not open"
            raise LedgerUnavailable(message)
        return self._db

    def watch(self, wake: Callable[[], None]) -> None:
        """Nothing tells of another process's commits: whoever waits has to look."""

    def attend(self, *, somebody: bool) -> None:
        """The same."""

    def version(self) -> int:
        """A number that differs once another connection has committed."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def begin(self, *, write: bool) -> None:
        """Start a transaction; with ``write`` take the lock now, for it cannot be taken later."""
        self._reach("before begin")
        statement = "BEGIN IMMEDIATE" if write else "BEGIN"
        if write and (pause_s := self._not_before - time.monotonic()) > 0:
            time.sleep(pause_s)
        try:
            self._connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            self._had_to_wait = True
            self._patiently(self._connection.execute, statement)

    def expect(self, wanted: Wanted) -> None:
        """Nothing: no round trip is to be saved."""

    def commit(self) -> None:
        """Make what was written durable."""
        self._reach("before commit")
        self._connection.execute("COMMIT")
        if self._had_to_wait:
            # Others wait too, and look now and then: who is here already would overtake them all.
            self._had_to_wait = False
            self._not_before = time.monotonic() + random.uniform(0, GIVE_WAY_S)  # noqa: S311 - no secret
        self._reach("after commit")

    def rollback(self) -> None:
        """Forget what was written; SQLite itself may have done so already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def is_passing(self, error: Exception) -> bool:  # noqa: ARG002 - what passes was waited for
        """Never: who keeps the file locked was waited for in :meth:`begin` already."""
        return False

    def load(self, wanted: Wanted) -> Loaded:
        """The wanted rows: a statement each, but one for all holds, of which there are many."""
        execute = self._connection.execute
        loaded = Loaded()
        for task_id in wanted.tasks:
            for row in execute(_TASK, (task_id,)):
                loaded.tasks[task_id] = TaskState(*row)
        for key in wanted.accounts:
            for row in execute(_ACCOUNT_BY_KEY, (key,)):
                loaded.accounts[row[0]] = AccountRow(*row)
        held: set[int] = set()
        if wanted.holds:
            for row in execute(_HOLDS, (to_json(list(wanted.holds)),)):
                hold = read_hold(row)
                loaded.holds[hold.attempt_id] = hold
                if hold.is_open:
                    held.update(hold.account_ids)
        for account in self.accounts_with(held - loaded.accounts.keys()):
            loaded.accounts[account.account_id] = account
        return loaded

    def write(self, changes: Changes) -> None:
        """Write a batch's changes, one prepared statement per kind of row."""
        write = self._connection.executemany
        begun = {hold.seq for hold, _ in changes.intents}
        ended = {hold.seq for hold, _ in changes.ends}
        if changes.intents:
            write(
                "INSERT INTO attempts (seq, attempt_id, task_id, epoch, key, request_hash, step,"
                " kind, model, provider_model, reserve, account_ids, expires_at_us, at_us,"
                " token_bound, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [columns.intent_values(hold, intent) for hold, intent in changes.intents],
            )
            # What is over already, as a hit of the memo, was never open for anybody to see.
            write(
                "INSERT INTO holds (seq, expires_at_us, boot) VALUES (?, ?, ?)",
                [self._expiry(*one) for one in changes.intents if one[0].seq not in ended],
            )
        if changes.ends:
            write(
                "INSERT INTO ends (seq, kind, cost, overrun, certainty, seconds,"
                " input_tokens, output_tokens, cached_input_tokens, cache_write_tokens,"
                " reasoning_tokens, served_model, price_source, error, at_us,"
                " saved, saved_seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [columns.end_values(hold, end) for hold, end in changes.ends],
            )
            write("DELETE FROM holds WHERE seq = ?", [(seq,) for seq in ended - begun])
        if changes.replies:
            write(
                "INSERT INTO replies (seq, body, expires_at_us) VALUES (?, ?, ?)", changes.replies
            )
        if changes.accounts:
            write(
                "UPDATE accounts SET settled = ?, reserved = ?, disputed = ?, overrun = ?"
                " WHERE account_id = ?",
                [
                    (row.settled, row.reserved, row.disputed, row.overrun, row.account_id)
                    for row in changes.accounts.values()
                ],
            )
        if changes.marks:
            write("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", changes.marks)
        if changes.decisions:
            write(
                "INSERT INTO decisions (task_id, key, step, attempt_id, accepted, confidence,"
                " confidence_state, checks, at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [columns.decision_values(decision) for decision in changes.decisions],
            )
        if changes.lessons:
            write(lesson_rows.INSERT, map(lesson_rows.lesson_values, changes.lessons))
            write(lesson_rows.INSERT_WORDS, lesson_rows.words_values(changes.lessons))

    def _expiry(self, hold: Hold, intent: AttemptIntent) -> tuple[int, int, str | None]:
        """When a hold expires, and on which clock: what it waited before is no part of its time."""
        if self._steady is None:
            return hold.seq, hold.expires_at_us, None
        return hold.seq, self._steady.now_us() + life_us(intent), self._steady.boot

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose time has come, by the clock of their machine.

        Those of a start of the machine that is over are overdue: nobody of then is alive.
        """
        boot, steady_us = (
            ("", 0) if self._steady is None else (self._steady.boot, self._steady.now_us())
        )
        found = self._query(
            f"{OPEN_HOLDS} WHERE CASE h.boot WHEN ? THEN h.expires_at_us <= ?"
            " ELSE h.boot IS NOT NULL OR h.expires_at_us <= ? END ORDER BY h.seq",
            (boot, steady_us, now_us),
        )
        return [read_hold(row) for row in found]

    def overwrite_deleted(self) -> None:
        """Overwrite what is deleted from now on; copies in the log go with its next checkpoint."""
        self._connection.execute("PRAGMA secure_delete = ON")

    def _query(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        return self._connection.execute(statement, values)

    def _change(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(statement, values)

    def _delete(self, statements: Iterable[tuple[str, Sequence[object]]]) -> int:
        execute = self._connection.execute
        return sum(execute(statement, values).rowcount for statement, values in statements)

    def _reach(self, point: FaultPoint) -> None:
        if self._faults is not None:
            self._faults(point)


def is_busy(error: BaseException) -> bool:
    """Whether another process holds the file; extended codes carry the kind in their low byte."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
