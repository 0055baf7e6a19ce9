"""A ledger that acts when it is told to: without a thread, an event loop or a clock of its own.

The rules, the queues and the transactions are the ledger's own; only who decides what comes next
is another. So any history can be made, and the same one again: for tests of a store, and for
simulations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar, cast

from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.bookkeeping import book, lifecycle
from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.bookkeeping.transactor import Transactor
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.bookkeeping.verification import Verification, verify
from orchestrator.ledger.bookkeeping.waiting import Ask
from orchestrator.ledger.records import (
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.stores.store import Store

T = TypeVar("T")


class Teller:
    """Makes operations, carries them out in the batches it is given, and answers questions.

    An operation's ``result`` and ``error`` say what came of it; an ask that waits has neither yet,
    and stands in :attr:`waiting`.

    Attributes:
        store: The store, which is its own.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], *, keep_bodies: timedelta | None = None
    ) -> None:
        """Nothing is opened yet.

        Args:
            store: Where the facts are kept.
            now: The time.
            keep_bodies: How long prompts and replies outlive the completion of their task.
        """
        self.store = store
        self._now = now
        self._keep = keep_bodies
        self._due: list[Operation] = []
        self._transactor = Transactor(store, now, self._due.append)

    def open(self) -> None:
        """Open the store, and do what every ledger does first."""
        self.store.open()
        self.carry_out([Operation(None, lambda unit: lifecycle.purge(unit, self._now()))])

    def close(self) -> None:
        """Close the store as it is, like a process that dies between two transactions."""
        self.store.close()

    @property
    def waiting(self) -> int:
        """How many asks wait."""
        return len(self._transactor.waiting)

    @property
    def living(self) -> frozenset[str]:
        """Ids of the open attempts whose owner this is."""
        return frozenset(self._transactor.living)

    def carry_out(self, operations: Sequence[Operation]) -> bool:
        """Carry out a batch in one transaction; whether it is recorded."""
        batch = [*self._transactor.unwritten, *self._due, *operations]
        self._transactor.unwritten = []
        self._due.clear()
        return self._transactor.commit(batch)

    def look(self) -> None:
        """Look what others changed, and expire what is overdue, as a ledger whose asks wait."""
        self._transactor.look()

    def forget(self) -> None:
        """Remember nothing of the store, as if another process had written."""
        self._transactor.forget()

    def disown(self) -> None:
        """Own none of the open attempts any more, as if this were the process after."""
        self._transactor.living.clear()

    def dismiss(self) -> None:
        """Send everybody who waits away."""
        self._transactor.waiting.clear()

    def open_task(self, opening: TaskOpening) -> Operation:
        """To open a task."""
        return Operation(None, lambda unit: lifecycle.open_task(unit, opening))

    def reserve(self, intent: AttemptIntent, demands: Sequence[Demand]) -> Ask:
        """To reserve."""
        return Ask(None, intent, demands)

    def end(self, end: AttemptEnd) -> Operation:
        """To resolve an attempt."""

        def run(unit: UnitOfWork) -> None:
            self._transactor.living.discard(end.attempt_id)
            book.end(unit, end, self._keep)

        return Operation(None, run, holds=(end.attempt_id,))

    def withdraw(self, attempt_id: str) -> Operation:
        """To undo an ask, whether it waits or was granted."""
        return self._transactor.withdrawal(None, attempt_id)

    def mark(self, task_id: str, kind: str, key: str) -> Operation:
        """To note a mark."""
        return Operation(None, lambda unit: unit.add_mark(task_id, kind, key), urgency="note")

    def decide(self, decision: Decision) -> Operation:
        """To note a decision."""
        return Operation(None, lambda unit: unit.add_decision(decision), urgency="note")

    def hit(self, intent: AttemptIntent, end: AttemptEnd) -> Operation:
        """To note that a memo answered."""
        return Operation(
            None,
            lambda unit: book.free(unit, intent, end, None, self._keep),
            urgency="note",
            adds=intent.attempt_id,
        )

    def take_over(
        self, task_id: str, *, add_budget: Money = Money.ZERO, extend: Mapping[str, float]
    ) -> Operation:
        """To take a task over."""
        return Operation(
            None,
            lambda unit: lifecycle.take_over(
                unit,
                task_id,
                owner="another",
                now=self._now(),
                add_budget=add_budget,
                extend=extend,
            ),
        )

    def close_task(self, closing: TaskClosing) -> Operation:
        """To note how a run returned."""
        return Operation(
            None,
            lambda unit: lifecycle.close_task(unit, closing, self._keep),
            tasks=(closing.task_id,),
        )

    def signal(self, task_id: str, reason: HaltReason) -> Operation:
        """To ask a task to stop."""
        return Operation(
            None, lambda unit: lifecycle.signal(unit, task_id, reason), tasks=(task_id,)
        )

    def expire_overdue(self) -> Operation:
        """To expire what is overdue."""
        return Operation(None, self._transactor.expire_overdue)

    def read(self, question: Callable[[UnitOfWork], T]) -> T:
        """Answer from one snapshot.

        Raises:
            LedgerUnavailable: If the store cannot be read.
        """
        asking = Operation(None, question, urgency="read")
        self._transactor.read([asking])
        if asking.error is not None:
            raise asking.error
        return cast("T", asking.result)

    def verify(self) -> Verification:
        """Recompute every account from the attempts, and look for rows that belong to nothing."""
        return self.read(lambda unit: verify(unit.flushed()))
