"""What a backend has to provide: rows in, rows out, inside one transaction. No rule lives below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Protocol

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.afterwards import Correction, Crossing
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import Account, AttemptRecord, TaskHistory, TaskOpening, TaskRecord
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Body,
    BodyKind,
    Changes,
    Fact,
    Hold,
    Loaded,
    Standing,
    TaskState,
    Wanted,
)

FaultPoint = Literal["before begin", "before commit", "after commit"]
"""Where a store lets a test fail or die."""


class OutcomeUnknown(LedgerUnavailable):
    """The connection was cut while a transaction was committed, and could not be made again.

    What was written may be there or not.
    """


class Store(Protocol):
    """One connection, used by one thread.

    The hot path is :meth:`load` once and :meth:`write` once per batch. Everything else is rare and
    goes straight to the store; a unit of work flushes what it holds back before it asks.

    Attributes:
        shared: Whether other processes may write to it, so that a waiter has to look.
        look_after_s: First and longest pause, in seconds, between looks at what others changed.
    """

    shared: bool
    look_after_s: tuple[float, float]

    def open(self) -> None:
        """Connect and bring the schema up to date."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, when others have changed something, if it can be told."""
        ...

    def attend(self, *, somebody: bool) -> None:
        """Hear whether somebody waits here: while nobody does, ``wake`` need not be called."""
        ...

    def version(self) -> int:
        """A number that differs once somebody else has committed."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Whether nothing was written because of this, and the transaction may be tried again."""
        ...

    def begin(self, *, write: bool) -> None:
        """Start a transaction; with ``write`` no other one may write before it ends."""
        ...

    def expect(self, wanted: Wanted) -> None:
        """Hear, after :meth:`begin`, what will be loaded: it may come with the version."""
        ...

    def commit(self) -> None:
        """Make what was written durable.

        Raises:
            OutcomeUnknown: If it cannot be told whether it is.
        """
        ...

    def rollback(self) -> None:
        """Forget what was written; without a transaction, do nothing."""
        ...

    def load(self, wanted: Wanted) -> Loaded:
        """The wanted rows, as copies that the caller may change."""
        ...

    def write(self, changes: Changes) -> None:
        """Write a batch's changes."""
        ...

    def next_seq(self) -> int:
        """The number of the next attempt; the caller counts on from there."""
        ...

    def insert_task(self, opening: TaskOpening, state: TaskState) -> None:
        """Store a new task, without its input."""
        ...

    def update_task(self, record: TaskRecord, signal: HaltReason | None) -> None:
        """Replace what may change about a task; never how it started, nor its bodies."""
        ...

    def task(self, task_id: str) -> TaskRecord | None:
        """The task with its bodies, as far as they are kept."""
        ...

    def descendants(self, task_id: str) -> list[str]:
        """Ids of the tasks that run, or ran, inside this one; outermost first."""
        ...

    def insert_account(self, account: Account, seed: AccountRow) -> AccountRow:
        """Store an account that starts with ``seed``, and number it."""
        ...

    def spent(self, account: Account) -> tuple[int, int]:
        """What the attempts of the account's holder and window cost, and their overrun, in nano.

        An open attempt counts its reserve.
        """
        ...

    def holds(self, task_ids: Sequence[str]) -> list[Hold]:
        """Open attempts of these tasks."""
        ...

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose ``expires_at`` has come."""
        ...

    def standing(self, seq: int) -> Standing | None:
        """How an attempt is booked; ``None`` while it is open."""
        ...

    def accounts_with(self, ids: Iterable[int]) -> list[AccountRow]:
        """The accounts with these numbers, as copies that the caller may change."""
        ...

    def insert_correction(self, seq: int, correction: Correction, *, overrun: Money) -> None:
        """Store what an attempt really cost; ``overrun`` is the part above its reserve."""
        ...

    def crossings(self, accounts: Iterable[str]) -> list[Crossing]:
        """Which thresholds of these accounts were crossed."""
        ...

    def insert_crossing(self, crossing: Crossing, at_us: int) -> None:
        """Store that a threshold was crossed for the first time."""
        ...

    def rests(self, scope: Scope, step: str, limit: int) -> list[int]:
        """What the last completed tasks like this one cost from their first ask of a step on.

        In nano-dollars, one for each task, the tasks inside it included. Like this one are those of
        its agent and its tenant, but what was asked beside them for audits and a memo's upkeep.
        Those that never asked the step are left out, and yet among the ``limit`` newest.
        """
        ...

    def courses(self, scope: Scope, limit: int) -> list[Spent]:
        """What the last completed tasks like this one did, attempt by attempt."""
        ...

    def insert_body(self, body: Body) -> None:
        """Store an input or output, in place of the task's former one."""
        ...

    def retain_bodies(
        self, task_ids: Iterable[str], kinds: Sequence[BodyKind], until_us: int | None
    ) -> None:
        """Let these tasks' bodies expire at ``until_us``; ``None``: keep them."""
        ...

    def delete_bodies(self, task_ids: Iterable[str], kinds: Sequence[BodyKind]) -> int:
        """Remove these tasks' bodies; how many there were."""
        ...

    def overwrite_deleted(self) -> None:
        """Overwrite what is deleted from now on, as far as the store can."""
        ...

    def tasks_of(self, user: str, tenant: str | None) -> list[tuple[str, TaskStatus]]:
        """The tasks for a user, in one tenant or in all, with their status."""
        ...

    def purge_bodies(self, now_us: int) -> None:
        """Remove the bodies whose time has come."""
        ...

    def abandoned(self, before_us: int) -> list[str]:
        """Tasks still called running that gave no sign of life since ``before_us``."""
        ...

    def history(self, task_id: str) -> TaskHistory:
        """Attempts, decisions and marks of a task."""
        ...

    def lessons(self, tenant: str, after: int, limit: int) -> list[Lesson]:
        """What a tenant may learn from, in the order of the log, choices left out."""
        ...

    def in_doubt(self, task_id: str | None) -> list[AttemptRecord]:
        """Attempts whose owner died, without replies; of one task or of all."""
        ...

    def accounts(self) -> Iterator[tuple[AccountRow, AccountRow]]:
        """Every account with its seed."""
        ...

    def facts(self) -> Iterator[Fact]:
        """Every attempt."""
        ...

    def orphans(self) -> list[str]:
        """Rows that refer to a row that is not there, each described."""
        ...
