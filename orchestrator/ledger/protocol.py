"""What every ledger backend offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.core.priority import Priority
from orchestrator.core.scope import Scope
from orchestrator.ledger.afterwards import Correction, Crossing
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Balance,
    Decision,
    Demand,
    TaskClosing,
    TaskHistory,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.remembered import Remembered


class Ledger(Protocol):
    """Reserve, settle, release, expire, journal. Append-only, safe across threads and processes.

    Every coroutine may be awaited from any event loop and returns once its effect is durable.
    """

    async def open(self) -> None:
        """Open the store and bring its schema up to date.

        Raises:
            LedgerUnavailable: If the store cannot be opened.
        """
        ...

    async def aclose(self) -> None:
        """Write what is queued and close."""
        ...

    async def open_task(self, opening: TaskOpening) -> int:
        """Record a new task as running and return its first epoch.

        Raises:
            TaskExists: If the id is taken.
        """
        ...

    async def take_over(
        self,
        task_id: str,
        *,
        owner: str,
        add_budget: Money = Money.ZERO,
        extend: Mapping[str, float] | None = None,
    ) -> TaskRecord:
        """Make ``owner`` the owner under the next epoch, set the task running and clear its signal.

        In the same transaction every open attempt of an older epoch expires: its reserve becomes
        disputed. The budget and the limits grow by what is given. Tasks inside it are fenced too.

        A completed task is left as it is: the record says ``completed``, and nothing changed.

        Raises:
            TaskNotFound: If there is no such task.
        """
        ...

    async def task(self, task_id: str) -> TaskRecord | None:
        """The task, or ``None``.

        Raises:
            ValueError: If no store could hold such an id.
        """
        ...

    async def family(self, task_id: str) -> Sequence[str]:
        """The task's id and the ids of all tasks that ran inside it, outermost first."""
        ...

    async def history(self, task_id: str) -> TaskHistory:
        """All that is known of a task's attempts."""
        ...

    async def reserve(
        self, intent: AttemptIntent, demands: Sequence[Demand], *, priority: Priority = "normal"
    ) -> None:
        """Hold ``intent.reserve`` on every account or on none, waiting where promise 2 says so.

        Who matters more is served first, though it came later.

        Cancelling the caller withdraws a reservation that still waits; one that was just granted
        is released before the cancellation goes on.

        Raises:
            BudgetShort: If a budget of the path cannot serve it, now or by waiting.
            TaskSignalled: If the task was asked to stop.
            Fenced: If the epoch is no longer the task's.
            LedgerUnavailable: If it cannot be recorded.
        """
        ...

    async def end(self, end: AttemptEnd) -> None:
        """Resolve an intent: book the cost, free the hold, journal the reply, in one transaction.

        Raises:
            AlreadyEnded: If it was resolved before (the owner was fenced, or the hold expired).
            LedgerUnavailable: If it cannot be recorded.
        """
        ...

    async def in_doubt(self, task_id: str | None = None) -> Sequence[AttemptRecord]:
        """Attempts whose owner died: their reserve stays disputed. Of one task, or of all."""
        ...

    async def correct(self, correction: Correction) -> None:
        """Say what an attempt in doubt really cost.

        Raises:
            NotInDoubt: If it is open, ended for sure, or unknown.
        """
        ...

    def mark(self, task_id: str, kind: str, key: str) -> None:
        """Note that ``key`` counts towards ``kind``, once however often noted. Does not wait."""
        ...

    def decide(self, decision: Decision) -> None:
        """Note a decision. Does not wait; written in order with everything else."""
        ...

    def hit(self, hit: Remembered) -> None:
        """Note that a memo answered, as :meth:`free` does."""
        ...

    def free(self, intent: AttemptIntent, end: AttemptEnd, decision: Decision | None) -> None:
        """Note what was free: an attempt that reserves nothing, its end and the decision.

        Does not wait; written in order with everything else, all of it or nothing. So whatever is
        paid because of the answer is paid after the answer is durable. Nothing is written for an
        owner that was fenced.
        """
        ...

    def note(self, lessons: Sequence[Lesson]) -> None:
        """Note what is to be learned from. Does not wait; all of it or nothing."""
        ...

    async def teach(self, lessons: Sequence[Lesson]) -> None:
        """The same as :meth:`note`, durable when it returns.

        Raises:
            LedgerUnavailable: If it cannot be recorded.
        """
        ...

    async def lessons(self, tenant: str, *, after: int = 0, limit: int = 1000) -> Sequence[Lesson]:
        """What a tenant may learn from, in the order of the log, from number ``after`` on.

        Choices are left out: they explain, and teach nothing.
        """
        ...

    async def close_task(self, closing: TaskClosing) -> None:
        """Record how a run of a task returned.

        Raises:
            Fenced: If the epoch is no longer the task's.
        """
        ...

    async def signal(self, task_id: str, reason: HaltReason) -> None:
        """Ask a running task to stop, whichever process runs it: its next reserve is refused.

        So is that of every task inside it. A task that does not run is left as it is.

        Raises:
            TaskNotFound: If there is no such task.
        """
        ...

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        """The balance of each account, in order."""
        ...

    async def levels(
        self, accounts: Sequence[Account]
    ) -> tuple[Sequence[Balance], frozenset[Crossing]]:
        """The balance of each account, in order, and which of their thresholds were crossed."""
        ...

    async def cross(self, crossing: Crossing) -> bool:
        """Note that a threshold was crossed; whether nobody noted it before, in any process."""
        ...

    async def rests(self, scope: Scope, step: str, limit: int) -> Sequence[Money]:
        """What the last completed tasks like this one cost from their first ask of a step on."""
        ...

    async def courses(self, scope: Scope, limit: int) -> Sequence[Spent]:
        """What the last completed tasks like this one did, attempt by attempt, in their order."""
        ...

    async def expire_overdue(self) -> int:
        """Expire the holds past their ``expires_at``, but those of this process, which lives."""
        ...

    async def epoch(self, task_id: str) -> int:
        """The task's present epoch; 0 if there is no such task."""
        ...
