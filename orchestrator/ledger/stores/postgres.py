"""A store in a PostgreSQL database: only what PostgreSQL does in its own way.

Writers take one advisory lock for the length of a batch, as SQLite's take the file. The top of
most budget trees is one row that every attempt books on, so locking row by row would rarely let
two batches run side by side, and would need an order of locks that a batch cannot know before it
has judged. Under the lock nothing that was read can change, nothing can deadlock, and the queue of
processes is first come, first served. What it costs is kept small by doing few round trips while
it is held: one to lock and load, one to write and commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, LiteralString
from uuid import uuid4

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.records import TaskRecord
from orchestrator.ledger.stores import columns, postgres_sql
from orchestrator.ledger.stores.columns import Row, read_hold
from orchestrator.ledger.stores.lesson_rows import INSERT_WORDS, lesson_values, words_values
from orchestrator.ledger.stores.postgres_connection import connect, is_lost, place_from_url
from orchestrator.ledger.stores.postgres_listener import Listener
from orchestrator.ledger.stores.postgres_schema import migrate
from orchestrator.ledger.stores.postgres_statements import (
    BEGIN,
    BEGIN_SNAPSHOT,
    COMMIT,
    Statement,
    granted_values,
    loading,
)
from orchestrator.ledger.stores.queries import SqlQueries
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Changes,
    Hold,
    Loaded,
    TaskState,
    Wanted,
)
from orchestrator.ledger.stores.store import FaultPoint, OutcomeUnknown

AWAY_FOR_S = 5.0
"""How long the server may be away before the ledger counts as unavailable."""
LOOK_AFTER_S = (1.0, 5.0)
"""Pauses between looks without being woken: for holds of the dead, and where no NOTIFY arrives."""


class ConnectionLost(psycopg.OperationalError):
    """The connection is of no use any more; what it had not committed is undone."""


class PostgresStore(SqlQueries):
    """One connection that writes, and one that listens to what others write."""

    shared = True
    look_after_s = LOOK_AFTER_S

    _accounts_of_attempt: ClassVar[str] = postgres_sql.ACCOUNTS_OF_ATTEMPT
    _oldest_task_first: ClassVar[str] = "json_array_length(t.ancestors::json), t.seq"
    _spent_by_holder: ClassVar[str] = postgres_sql.SPENT
    _spent_by_time: ClassVar[str] = postgres_sql.SPENT

    def __init__(
        self,
        url: str,
        *,
        away_for_s: float = AWAY_FOR_S,
        server_clock: bool = True,
        faults: Callable[[FaultPoint], None] | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            url: ``postgresql://user@host/database?schema=name``.
            away_for_s: Seconds to try while the server is away.
            server_clock: Whether the server's clock tells when a hold is overdue, so that machines
                whose clocks differ do not expire each other's; else the ledger's own clock does.
            faults: Called at named points, so that a test can fail or die there.

        Raises:
            LedgerUnavailable: If the URL is none.
        """
        self._place = place_from_url(url)
        self._faults = faults
        self._server_clock = server_clock
        self._id = uuid4().hex
        self._db: psycopg.Connection | None = None
        self._listener: Listener | None = None
        self._pending: list[Statement] = []
        self._expected: tuple[Wanted, list[list[Row]]] | None = None
        self._batch = 0
        self._committed = 0
        self._next_seq = 0
        self._has_written = False
        self._has_freed = False
        self._patiently = Retrying(
            retry=retry_if_exception_type(psycopg.OperationalError),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(away_for_s),
            reraise=True,
        )

    def open(self) -> None:
        """Connect and bring the schema up to date.

        Raises:
            LedgerUnavailable: If the database cannot hold a ledger.
        """
        self._db = self._connect()
        try:
            migrate(self._db, self._place)
            self._db.execute(postgres_sql.FORGET_WRITERS)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if self._db is not None:
            self._db.close()
            self._db = None

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from a thread of its own, when others have changed something."""
        self._listener = Listener(self._place, self._id, wake)
        self._listener.start()

    def attend(self, *, somebody: bool) -> None:
        """Listen to what others change while somebody waits."""
        if self._listener is not None:
            self._listener.attend(somebody=somebody)

    def version(self) -> int:
        """How many batches others have committed; exact, and inside a transaction locked."""
        asked = Statement(postgres_sql.COMMITS)
        if not self._pending:
            self._connected()
        if self._expected is None:
            (counted,) = self._send_all(asked)
        else:
            wanted, _ = self._expected
            counted, *found = self._send_all(asked, *loading(wanted))
            self._expected = (wanted, found)
        ((number, self._next_seq),) = counted
        return int(number) - self._committed

    def next_seq(self) -> int:
        """The number of the next attempt, which came with the version."""
        return self._next_seq

    def is_passing(self, error: Exception) -> bool:
        """Whether the server undid it all: a conflict, or a connection cut before the commit."""
        return isinstance(
            error,
            ConnectionLost | psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected,
        )

    def begin(self, *, write: bool) -> None:
        """Start a transaction, with the next statement; with ``write`` under the ledger's lock."""
        self._reach("before begin")
        self._pending.clear()
        self._expected = None
        self._has_written = self._has_freed = False
        self._connected()
        if write:
            # The lock is a statement of its own: each sees what was committed before it began.
            self._pending += [BEGIN, Statement(postgres_sql.LOCK, (self._place.lock,))]
        else:
            self._pending.append(BEGIN_SNAPSHOT)

    def expect(self, wanted: Wanted) -> None:
        """Load this with the version, in the round trip that takes the lock."""
        self._expected = (wanted, []) if wanted else None

    def commit(self) -> None:
        """Make what was written durable, in the same round trip that writes it.

        Raises:
            OutcomeUnknown: If the connection was cut meanwhile, and the server stays away.
        """
        self._reach("before commit")
        if not self._has_written:
            self._send(COMMIT)
            self._reach("after commit")
            return
        self._batch += 1
        noted = (self._id, self._batch, self._place.channel, self._id, self._has_freed)
        self._pending += [Statement(postgres_sql.NOTE_BATCH, noted), COMMIT]
        try:
            cursor = self._send()
        except ConnectionLost as error:
            if not self._has_committed(error):
                raise
        else:
            if cursor.statusmessage != "COMMIT":
                message = f"the server answered a commit with {cursor.statusmessage}"
                raise LedgerUnavailable(message)
        self._committed += 1
        self._reach("after commit")

    def rollback(self) -> None:
        """Forget what was written; a connection that is lost has done so already."""
        self._pending.clear()
        db = self._db
        if db is None or db.closed or db.info.transaction_status == TransactionStatus.IDLE:
            return
        db.execute("ROLLBACK")

    def load(self, wanted: Wanted) -> Loaded:
        """Lock, and load the wanted rows, in one round trip."""
        loaded = Loaded()
        expected, self._expected = self._expected, None
        if expected is None or expected[0] != wanted:
            found = self._send_all(*loading(wanted))
        else:
            found = expected[1]
        found_holds, found_accounts, *found_tasks = found
        for row in found_holds:
            loaded.holds[row[1]] = read_hold(row)
        for row in found_accounts:
            loaded.accounts[row[0]] = AccountRow(*row)
        for rows in found_tasks:
            for task_id, *state in rows:
                loaded.tasks[task_id] = TaskState(*state)
        return loaded

    def write(self, changes: Changes) -> None:
        """Prepare a batch's changes, one statement per kind of row, to be sent with the commit."""
        if changes.intents:
            clock = postgres_sql.SERVER_EXPIRY if self._server_clock else postgres_sql.GIVEN_EXPIRY
            self._write(clock, [granted_values(*it) for it in changes.intents])
        if changes.ends:
            self._has_freed = True
            self._write(postgres_sql.INSERT_ENDS, [columns.end_values(*it) for it in changes.ends])
        if changes.replies:
            self._has_written = True
            values = [list(column) for column in zip(*changes.replies, strict=True)]
            self._pending.append(Statement(postgres_sql.INSERT_REPLIES, values))
        if changes.accounts:
            self._write(
                postgres_sql.UPDATE_ACCOUNTS,
                [
                    (row.account_id, row.settled, row.reserved, row.disputed, row.overrun)
                    for row in changes.accounts.values()
                ],
            )
        if changes.marks:
            self._write(postgres_sql.INSERT_MARKS, changes.marks)
        if changes.decisions:
            self._write(
                postgres_sql.INSERT_DECISIONS,
                [columns.decision_values(decision) for decision in changes.decisions],
            )
        if changes.lessons:
            self._write(postgres_sql.INSERT_LESSONS, list(map(lesson_values, changes.lessons)))
            self._change(INSERT_WORDS, words_values(changes.lessons))

    def update_task(self, record: TaskRecord, signal: HaltReason | None) -> None:
        """Replace what may change about a task, and wake those who wait in its name."""
        self._has_freed = True
        super().update_task(record, signal)

    def insert_correction(self, seq: int, correction: Correction, *, overrun: Money) -> None:
        """Store what an attempt really cost, and wake those who wait for what that frees."""
        self._has_freed = True
        super().insert_correction(seq, correction, overrun=overrun)

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose ``expires_at`` has come, by the clock that was chosen."""
        if self._server_clock:
            ((now_us,),) = self._query(postgres_sql.NOW)
        return super().overdue(now_us)

    def orphans(self) -> list[str]:
        """Rows that refer to a row that is not there, each described."""
        self._query(postgres_sql.BY_TABLE)
        return super().orphans()

    def overwrite_deleted(self) -> None:
        """Nothing: what is deleted goes from disk with the server's vacuum, log and backups."""

    def _has_committed(self, cause: Exception) -> bool:
        """Ask, over a new connection, whether the batch whose answer was cut off is there.

        Under the ledger's lock: the old connection's transaction may still be about to commit.
        """
        try:
            db = self._connected()
            with db.transaction():
                db.execute(postgres_sql.LOCK, (self._place.lock,))
                found = db.execute(postgres_sql.LAST_BATCH, (self._id,)).fetchone()
        except (psycopg.Error, LedgerUnavailable) as error:
            message = (
                f"the connection to the ledger was cut during a commit ({cause}), and what became "
                "of it cannot be told; nothing may be spent until the server is back"
            )
            raise OutcomeUnknown(message) from error
        return found is not None and found[0] == self._batch

    @property
    def _connection(self) -> psycopg.Connection:
        if self._db is None:
            message = "the ledger is not open"
            raise LedgerUnavailable(message)
        return self._db

    def _connect(self) -> psycopg.Connection:
        db = connect(self._place)
        db.execute(postgres_sql.BY_KEY)
        return db

    def _connected(self) -> psycopg.Connection:
        """The connection, made anew if it was lost."""
        if self._connection.closed:
            self._db = self._patiently(self._connect)
            self._committed -= 1  # perhaps another server: nothing that is remembered counts
        return self._connection

    def _query(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        if not self._pending:
            self._connected()
        (found,) = self._send_all(Statement(postgres_sql.translated(statement), values))
        return found

    def _change(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        self._has_written = True
        self._pending += [Statement(postgres_sql.translated(statement), each) for each in values]

    def _delete(self, statements: Iterable[tuple[str, Sequence[object]]]) -> int:
        doomed = [Statement(postgres_sql.translated(one), values) for one, values in statements]
        if not doomed:
            return 0
        self._has_written = True
        return sum(cursor.rowcount for cursor in self._execute(doomed)[-len(doomed) :])

    def _write(self, statement: LiteralString, rows: Sequence[Row]) -> None:
        self._has_written = True
        self._pending.append(Statement(statement, (orjson.dumps(rows).decode(),)))

    def _send(self, *last: Statement) -> psycopg.Cursor[Any]:
        return self._execute(last)[-1]

    def _send_all(self, *last: Statement) -> list[list[Row]]:
        """Send what is pending and these, and give the rows of these."""
        return [cursor.fetchall() for cursor in self._execute(last)[-len(last) :]]

    def _execute(self, last: Sequence[Statement]) -> list[psycopg.Cursor[Any]]:
        """Send what is pending and these, in one round trip."""
        db = self._connection
        statements = [*self._pending, *last]
        self._pending.clear()
        try:
            if len(statements) == 1:
                return [db.execute(one.query, one.values) for one in statements]
            with db.pipeline():
                return [db.execute(one.query, one.values) for one in statements]
        except psycopg.Error as error:
            if not is_lost(db, error):
                raise
            db.close()
            raise ConnectionLost(str(error)) from error

    def _reach(self, point: FaultPoint) -> None:
        if self._faults is not None:
            self._faults(point)
