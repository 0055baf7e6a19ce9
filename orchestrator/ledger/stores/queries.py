"""What a store on any SQL database is asked rarely: tasks, bodies, histories, sums.

The statements are standard SQL with ``?`` for each value. What is on the hot path, and what a
database says in its own way, is in its own file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import ClassVar

from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.core.scope import HOLDER_KINDS, Scope
from orchestrator.ledger.afterwards import Correction, Crossing
from orchestrator.ledger.codec import from_json
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import Account, AttemptRecord, TaskHistory, TaskOpening, TaskRecord
from orchestrator.ledger.stores import columns, lesson_rows
from orchestrator.ledger.stores.columns import Row
from orchestrator.ledger.stores.course_rows import COURSES, RESTS, like, read_courses
from orchestrator.ledger.stores.rows import (
    FIRST_US,
    LAST_US,
    AccountRow,
    Body,
    BodyKind,
    Fact,
    Hold,
    Standing,
    TaskState,
    to_us,
)

_ORPHANS = """
SELECT 'attempt ' || attempt_id || ' has no task ' || task_id FROM attempts a
    WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = a.task_id)
UNION ALL SELECT 'attempt ' || attempt_id || ' has no account ' || account.value
    FROM attempts, {accounts_of_attempt}
    WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE account_id = account.value)
UNION ALL SELECT 'end ' || seq || ' has no attempt' FROM ends e
    WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.seq = e.seq)
UNION ALL SELECT 'hold ' || seq || ' has no open attempt' FROM holds h
    WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.seq = h.seq)
    OR EXISTS (SELECT 1 FROM ends e WHERE e.seq = h.seq)
UNION ALL SELECT 'reply ' || seq || ' has no ended attempt' FROM replies r
    WHERE NOT EXISTS (SELECT 1 FROM ends e WHERE e.seq = r.seq)
UNION ALL SELECT 'correction ' || number || ' is of no attempt in doubt' FROM corrections c
    WHERE NOT EXISTS (SELECT 1 FROM ends e WHERE e.seq = c.seq AND e.kind = 'expired')
UNION ALL SELECT 'attempt ' || attempt_id || ' lies outside of the window of ' || w.key
    FROM attempts, {accounts_of_attempt}, accounts w WHERE w.account_id = account.value
    AND (at_us < w.starts_at_us OR at_us >= w.ends_at_us)
UNION ALL SELECT 'window of ' || key || ' ends before it begins' FROM accounts
    WHERE ends_at_us <= starts_at_us
UNION ALL SELECT 'open attempt ' || attempt_id || ' has no hold' FROM attempts a
    WHERE NOT EXISTS (SELECT 1 FROM ends e WHERE e.seq = a.seq)
    AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.seq = a.seq)
UNION ALL SELECT 'decision for ' || key || ' has no attempt ' || attempt_id FROM decisions d
    WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.attempt_id = d.attempt_id)
UNION ALL SELECT kind || ' body has no task ' || task_id FROM bodies b
    WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = b.task_id)
UNION ALL SELECT 'mark ' || kind || ' ' || key || ' has no task ' || task_id FROM marks m
    WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = m.task_id)
"""
OPEN_HOLDS = (
    "SELECT a.seq, a.attempt_id, a.task_id, a.epoch, a.reserve, a.account_ids, a.at_us,"
    " a.expires_at_us, 1 FROM holds h JOIN attempts a ON a.seq = h.seq"
)
_DESCENDANTS = """
SELECT h.task_id FROM task_holders h JOIN tasks t ON t.task_id = h.task_id
WHERE h.kind = 'task' AND h.identity = ? AND h.task_id <> h.identity ORDER BY {order}
"""


class SqlQueries(ABC):
    """The part of a store on a SQL database that is off the hot path."""

    _accounts_of_attempt: ClassVar[str]
    """A table ``account`` whose column ``value`` holds the ids in ``account_ids``."""
    _oldest_task_first: ClassVar[str]
    """Order of tasks ``t``: outermost first, then as they were stored."""
    _spent_by_holder: ClassVar[str]
    _spent_by_time: ClassVar[str]

    @abstractmethod
    def _query(self, statement: str, values: Sequence[object] = ()) -> Iterable[Row]:
        """Execute a statement that answers, and give its rows."""

    @abstractmethod
    def _change(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Execute a statement that does not answer, once with each of these values."""

    @abstractmethod
    def _delete(self, statements: Iterable[tuple[str, Sequence[object]]]) -> int:
        """Execute these statements with their values; how many rows went."""

    def insert_task(self, opening: TaskOpening, state: TaskState) -> None:
        """Store a new task, without its input."""
        scope = opening.scope
        self._change(
            'INSERT INTO tasks (task_id, org, team, agent, "user", tenant, ancestors, tags, graph,'
            " policy, input_type, budget, timeout_s, parent_key, at_us, owner, status, epoch,"
            " signal, updated_at_us, priority)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [columns.opening_values(opening, state)],
        )
        holders = [(kind, scope.identity(kind)) for kind in HOLDER_KINDS]
        holders += [("task", ancestor) for ancestor in scope.ancestors]
        self._change(
            "INSERT INTO task_holders VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(kind, holder, scope.task_id) for kind, holder in holders if holder is not None],
        )

    def update_task(self, record: TaskRecord, signal: HaltReason | None) -> None:
        """Replace what may change about a task; never how it started, nor its bodies."""
        self._change(
            "UPDATE tasks SET owner = ?, status = ?, epoch = ?, signal = ?, added_budget = ?,"
            " extensions = ?, running_s = ?, halt = ?, error = ?, updated_at_us = ?"
            " WHERE task_id = ?",
            [columns.update_values(record, signal)],
        )

    def task(self, task_id: str) -> TaskRecord | None:
        """The task with its bodies, as far as they are kept."""
        found = self._query(
            "SELECT t.*, i.body, o.encoding, o.body FROM task_records t"
            " LEFT JOIN bodies i ON i.task_id = t.task_id AND i.kind = 'input'"
            " LEFT JOIN bodies o ON o.task_id = t.task_id AND o.kind = 'output'"
            " WHERE t.task_id = ?",
            (task_id,),
        )
        return next(map(columns.read_task, found), None)

    def descendants(self, task_id: str) -> list[str]:
        """Ids of the tasks that run, or ran, inside this one; outermost first."""
        found = self._query(_DESCENDANTS.format(order=self._oldest_task_first), (task_id,))
        return [inner for (inner,) in found]

    def insert_account(self, account: Account, seed: AccountRow) -> AccountRow:
        """Store an account that starts with ``seed``, and number it."""
        ((account_id,),) = self._query(
            'INSERT INTO accounts (key, kind, identity, "window", starts_at_us, ends_at_us, seed,'
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
        return AccountRow(account_id, seed.key, settled=seed.settled, overrun=seed.overrun)

    def spent(self, account: Account) -> tuple[int, int]:
        """What the attempts of the account's holder and window cost, and their overrun, in nano."""
        starts_us = FIRST_US if account.starts_at is None else to_us(account.starts_at)
        ends_us = LAST_US if account.ends_at is None else to_us(account.ends_at)
        by_time = account.starts_at is not None and account.kind not in ("user", "task")
        ((cost, overrun),) = self._query(
            self._spent_by_time if by_time else self._spent_by_holder,
            (account.kind, account.identity, starts_us, ends_us),
        )
        return int(cost), int(overrun)

    def holds(self, task_ids: Sequence[str]) -> list[Hold]:
        """Open attempts of these tasks."""
        wanted = set(task_ids)
        return [hold for hold in self._open_holds(LAST_US) if hold.task_id in wanted]

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose ``expires_at`` has come."""
        return self._open_holds(now_us)

    def _open_holds(self, until_us: int) -> list[Hold]:
        found = self._query(f"{OPEN_HOLDS} WHERE h.expires_at_us <= ? ORDER BY h.seq", (until_us,))
        return [columns.read_hold(row) for row in found]

    def next_seq(self) -> int:
        """The number of the next attempt."""
        ((seq,),) = self._query("SELECT coalesce(max(seq), 0) + 1 FROM attempts")
        return int(seq)

    def standing(self, seq: int) -> Standing | None:
        """How an attempt is booked; ``None`` while it is open."""
        found = self._query(
            "SELECT e.kind, coalesce(c.cost, e.cost), coalesce(c.overrun, e.overrun),"
            " c.number IS NOT NULL FROM ends e LEFT JOIN corrections c ON c.number ="
            " (SELECT max(number) FROM corrections WHERE seq = e.seq) WHERE e.seq = ?",
            (seq,),
        )
        return next((Standing(row[0], row[1], row[2], bool(row[3])) for row in found), None)

    def accounts_with(self, ids: Iterable[int]) -> list[AccountRow]:
        """The accounts with these numbers, as copies that the caller may change."""
        statement = (
            "SELECT account_id, key, settled, reserved, disputed, overrun FROM accounts"
            " WHERE account_id = ?"
        )
        return [AccountRow(*row) for one in ids for row in self._query(statement, (one,))]

    def insert_correction(self, seq: int, correction: Correction, *, overrun: Money) -> None:
        """Store what an attempt really cost; ``overrun`` is the part above its reserve."""
        self._change(
            "INSERT INTO corrections (seq, cost, overrun, certainty, source, at_us)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    seq,
                    (correction.cost - overrun).nano,
                    overrun.nano,
                    correction.certainty,
                    correction.source,
                    to_us(correction.at),
                )
            ],
        )

    def crossings(self, accounts: Iterable[str]) -> list[Crossing]:
        """Which thresholds of these accounts were crossed."""
        statement = "SELECT account, share, amount FROM crossings WHERE account = ?"
        return [Crossing(*row) for key in accounts for row in self._query(statement, (key,))]

    def insert_crossing(self, crossing: Crossing, at_us: int) -> None:
        """Store that a threshold was crossed for the first time."""
        self._change(
            "INSERT INTO crossings (account, share, amount, at_us) VALUES (?, ?, ?, ?)",
            [(*crossing, at_us)],
        )

    def rests(self, scope: Scope, step: str, limit: int) -> list[int]:
        """What the last completed tasks like this one cost from their first ask of a step on."""
        return [int(nano or 0) for (nano,) in self._query(RESTS, (step, *like(scope, limit)))]

    def courses(self, scope: Scope, limit: int) -> list[Spent]:
        """What the last completed tasks like this one did, attempt by attempt."""
        return read_courses(self._query(COURSES, like(scope, limit)))

    def insert_body(self, body: Body) -> None:
        """Store an input or output, in place of the task's former one."""
        self._change(
            "INSERT INTO bodies (task_id, kind, encoding, body, expires_at_us)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (task_id, kind) DO UPDATE"
            " SET encoding = excluded.encoding, body = excluded.body,"
            " expires_at_us = excluded.expires_at_us",
            [body],
        )

    def retain_bodies(
        self, task_ids: Iterable[str], kinds: Sequence[BodyKind], until_us: int | None
    ) -> None:
        """Let these tasks' bodies expire at ``until_us``; ``None``: keep them."""
        whose = list(task_ids)
        self._change(
            "UPDATE bodies SET expires_at_us = ? WHERE task_id = ? AND kind = ?",
            [(until_us, task_id, kind) for task_id in whose for kind in kinds],
        )
        if "reply" in kinds:
            self._change(
                "UPDATE replies SET expires_at_us = ?"
                " WHERE seq IN (SELECT seq FROM attempts WHERE task_id = ?)",
                [(until_us, task_id) for task_id in whose],
            )

    def delete_bodies(self, task_ids: Iterable[str], kinds: Sequence[BodyKind]) -> int:
        """Remove these tasks' bodies; how many there were."""
        whose = list(task_ids)
        doomed: list[tuple[str, Sequence[object]]] = [
            ("DELETE FROM bodies WHERE task_id = ? AND kind = ?", (task_id, kind))
            for task_id in whose
            for kind in kinds
        ]
        if "reply" in kinds:
            replies = (
                "DELETE FROM replies WHERE seq IN (SELECT seq FROM attempts WHERE task_id = ?)"
            )
            doomed += [(replies, (task_id,)) for task_id in whose]
        if "words" in kinds:
            doomed += [(lesson_rows.FORGET_WORDS, (task_id,)) for task_id in whose]
        return self._delete(doomed)

    def tasks_of(self, user: str, tenant: str | None) -> list[tuple[str, TaskStatus]]:
        """The tasks for a user, in one tenant or in all, with their status."""
        found = self._query(
            'SELECT task_id, status FROM tasks WHERE "user" = ? AND tenant = coalesce(?, tenant)',
            (user, tenant),
        )
        return [(task_id, status) for task_id, status in found]

    def purge_bodies(self, now_us: int) -> None:
        """Remove the bodies whose time has come."""
        self._change("DELETE FROM bodies WHERE expires_at_us <= ?", [(now_us,)])
        self._change("DELETE FROM replies WHERE expires_at_us <= ?", [(now_us,)])

    def abandoned(self, before_us: int) -> list[str]:
        """Tasks still called running that gave no sign of life since ``before_us``."""
        found = self._query(
            "SELECT t.task_id FROM tasks t WHERE t.status = 'running' AND t.updated_at_us <= ?"
            " AND NOT EXISTS"
            " (SELECT 1 FROM attempts a WHERE a.task_id = t.task_id AND a.at_us > ?)",
            (before_us, before_us),
        )
        return [task_id for (task_id,) in found]

    def history(self, task_id: str) -> TaskHistory:
        """Attempts, decisions and marks of a task."""
        attempts = self._query(
            "SELECT r.*, p.body FROM attempt_records r LEFT JOIN replies p ON p.seq = r.seq"
            " WHERE r.task_id = ? ORDER BY r.seq",
            (task_id,),
        )
        decisions = self._query(
            "SELECT task_id, key, step, attempt_id, accepted, confidence, confidence_state,"
            " checks, at_us FROM decisions WHERE task_id = ? ORDER BY seq",
            (task_id,),
        )
        marks = self._query(
            "SELECT kind, key FROM marks WHERE task_id = ? ORDER BY kind", (task_id,)
        )
        return TaskHistory(
            attempts=tuple(columns.read_attempt(row, reply=row[-1]) for row in attempts),
            decisions={row[1]: columns.read_decision(row) for row in decisions},
            marks={
                kind: frozenset(key for _, key in group)
                for kind, group in groupby(marks, key=lambda mark: mark[0])
            },
        )

    def lessons(self, tenant: str, after: int, limit: int) -> list[Lesson]:
        """What a tenant may learn from, in the order of the log, choices left out."""
        found = self._query(lesson_rows.OF_TENANT, (tenant, after, limit))
        return list(map(lesson_rows.read_lesson, found))

    def in_doubt(self, task_id: str | None) -> list[AttemptRecord]:
        """Attempts whose owner died, without replies; of one task or of all."""
        found = self._query(
            "SELECT r.* FROM attempt_records r WHERE r.end = 'expired' AND r.certainty = 'unknown'"
            " AND r.task_id = coalesce(?, r.task_id) ORDER BY r.seq",
            (task_id,),
        )
        return [columns.read_attempt(row) for row in found]

    def accounts(self) -> Iterator[tuple[AccountRow, AccountRow]]:
        """Every account with its seed."""
        for row in self._query(
            "SELECT account_id, key, settled, reserved, disputed, overrun, seed, seed_overrun"
            " FROM accounts ORDER BY account_id"
        ):
            seed = AccountRow(row[0], row[1], settled=row[6], overrun=row[7])
            yield AccountRow(*row[:6]), seed

    def facts(self) -> Iterator[Fact]:
        """Every attempt."""
        for row in self._query(
            "SELECT a.attempt_id, a.reserve, a.account_ids,"
            " CASE WHEN c.number IS NULL THEN e.kind ELSE 'settled' END,"
            " coalesce(c.cost, e.cost, 0), coalesce(c.overrun, e.overrun, 0)"
            " FROM attempts a LEFT JOIN ends e ON e.seq = a.seq LEFT JOIN corrections c"
            " ON c.number = (SELECT max(number) FROM corrections WHERE seq = a.seq)"
        ):
            yield Fact(row[0], row[1], tuple(from_json(row[2])), *row[3:])

    def orphans(self) -> list[str]:
        """Rows that refer to a row that is not there, each described."""
        statement = _ORPHANS.format(accounts_of_attempt=self._accounts_of_attempt)
        return [text for (text,) in self._query(statement)]
