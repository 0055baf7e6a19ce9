"""The transactor: operations in, one durable transaction out. It knows no thread and no queue.

So a test can carry out any batches, in any order, and the same ones again.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.bookkeeping import book
from orchestrator.ledger.bookkeeping.operation import Answer, Operation, Urgency, deliver
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.bookkeeping.waiting import Ask, Waiting, by_ticket
from orchestrator.ledger.stores.rows import Wanted, to_us
from orchestrator.ledger.stores.store import OutcomeUnknown, Store

T = TypeVar("T")

MAX_REMEMBERED = 4096
"""How many rows may be remembered from one transaction to the next."""
MAX_TRIES = 5
"""How often a batch is tried that the store undoes for a reason that passes."""
TRY_AFTER_S = 0.01


class Transactor:
    """Carries out batches of operations on a store. For one thread.

    Attributes:
        living: Ids of open attempts of this ledger, whose owner therefore lives. Only operations,
            which run inside a batch, may touch it.
        waiting: Those who wait for money.
        unwritten: What has to be written with the next batch.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], later: Callable[[Operation], None]
    ) -> None:
        """Nothing is carried out yet.

        Args:
            store: Open, and used by nobody else.
            now: Tells when holds are overdue.
            later: Takes an operation that becomes necessary, to be carried out soon.
        """
        self.living: set[str] = set()
        self.waiting = Waiting()
        self.unwritten: list[Operation] = []
        self._store = store
        self._now = now
        self._later = later
        self._unit = UnitOfWork(store)
        self._version = 0
        self._pause_s = store.look_after_s[0]
        self._looked_at = 0.0

    def commit(self, batch: list[Operation]) -> bool:
        """Carry out a batch, and tell those who have their answer; whether it is recorded."""
        tries = 0
        while True:
            tries += 1
            answered: list[Operation] = []
            try:
                self._transact(batch, answered)
            except Exception as error:  # noqa: BLE001 - nothing was recorded; everybody is told why
                if tries == MAX_TRIES or not self._store.is_passing(error):
                    self._fail([*batch, *answered], error)
                    return False
                batch = self._as_before(batch, answered)
                time.sleep(random.uniform(0, TRY_AFTER_S * 2**tries))  # noqa: S311 - no secret
            else:
                self._forget_unheard(deliver(answered))
                self._store.attend(somebody=bool(self.waiting))
                return True

    def read(self, reads: list[Operation]) -> None:
        """Answer from one snapshot, which contains what was queued before the questions."""
        if not reads:
            return

        def run() -> None:
            self._store.begin(write=False)
            unit = UnitOfWork(self._store)
            for operation in reads:
                operation.run(unit)
            self._store.rollback()

        try:
            self._insist(run)
        except Exception as error:  # noqa: BLE001 - everybody who asked is told why
            refuse(reads, error)
        else:
            deliver(reads)

    def look(self) -> None:
        """See whether another process changed something for those who wait here."""
        self._looked_at = time.monotonic()
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - keeps no secret
        self._pause_s = min(self._pause_s * 2, self._store.look_after_s[1]) * jitter
        try:
            overdue = self._insist(lambda: self._store.overdue(to_us(self._now())))
            has_changed = self._insist(self._store.version) != self._version
        except Exception as error:  # noqa: BLE001 - those who wait are told why
            self._fail([], error)
            return
        if any(hold.attempt_id not in self.living for hold in overdue):
            self.commit([Operation(None, self.expire_overdue)])
        elif has_changed:
            self.commit([])

    def forget(self) -> None:
        """Remember nothing of the store: it is read anew."""
        self._unit = UnitOfWork(self._store)

    def look_soon(self) -> None:
        """Let the next look be due at once."""
        self._looked_at = 0.0

    def seconds_to_look(self) -> float | None:
        """When to look around next; ``None`` if nobody waits for what others may do."""
        if not (self.waiting and self._store.shared):
            return None
        return max(self._looked_at + self._pause_s - time.monotonic(), 0.0)

    def expire_overdue(self, unit: UnitOfWork) -> int:
        """Expire overdue attempts, but those of this ledger: their owner lives."""
        return book.expire_overdue(unit, self.living, self._now())

    def withdrawal(self, answer: Answer | None, attempt_id: str) -> Operation:
        """The operation that undoes an ask, whether it waits or was granted."""

        def run(unit: UnitOfWork) -> None:
            self.waiting.leave(attempt_id)
            self.living.discard(attempt_id)
            book.withdraw(unit, attempt_id, self._now())

        urgency: Urgency = "now" if answer is not None else "note"
        return Operation(answer, run, urgency=urgency, holds=(attempt_id,))

    def _transact(self, batch: list[Operation], answered: list[Operation]) -> None:
        """Carry out a batch in one transaction, and serve those whose turn has come.

        Args:
            batch: What to do.
            answered: Filled with those who have their answer, once it is committed.
        """
        store, waiting = self._store, self.waiting
        wanted = Wanted()
        for operation in batch:
            operation.want(wanted)
        store.begin(write=True)
        store.expect(self._unit.missing(wanted))
        unit, others_wrote = self._begin_unit()
        unit.load(wanted)
        now_us = to_us(self._now())
        for operation in batch:
            if isinstance(operation, Ask):
                if not waiting.arrive(unit, operation, now_us):
                    continue
                self._note_grant(operation)
            else:
                operation.run(unit)
            answered.append(operation)
        served = waiting.review_all(unit, now_us) if others_wrote else waiting.review(unit, now_us)
        for ask in served:
            self._note_grant(ask)
        answered += served
        unit.flushed()
        store.commit()

    def _as_before(self, batch: list[Operation], answered: list[Operation]) -> list[Operation]:
        """Undo what a batch did here; the batch to try next, in which everybody who waits asks.

        Their order of arrival stays, for those who came earlier ask first.
        """
        self._roll_back()
        asking = [one for one in answered if isinstance(one, Ask)] + self.waiting.clear()
        for ask in asking:
            self.living.discard(ask.intent.attempt_id)
        earlier = set(asking).difference(batch)
        return [*sorted(earlier, key=by_ticket), *batch]

    def _insist(self, run: Callable[[], T]) -> T:
        """Do what changes nothing, again if the store fails for a reason that passes."""
        tries = 0
        while True:
            tries += 1
            try:
                return run()
            except Exception as error:
                self._roll_back()
                if tries == MAX_TRIES or not self._store.is_passing(error):
                    raise

    def _begin_unit(self) -> tuple[UnitOfWork, bool]:
        """The unit of work to go on with, and whether somebody else wrote since the last one.

        Nobody can write now, so what is remembered is true if nobody did.
        """
        before, self._version = self._version, self._store.version()
        others_wrote = self._version != before
        if others_wrote:
            self._pause_s = self._store.look_after_s[0]
        if others_wrote or len(self._unit) > MAX_REMEMBERED:
            self.forget()
        self._unit.freed.clear()
        self._unit.stopped.clear()
        return self._unit, others_wrote

    def _note_grant(self, ask: Ask) -> None:
        if ask.error is None:
            self.living.add(ask.intent.attempt_id)

    def _forget_unheard(self, unheard: Iterable[Operation]) -> None:
        """Release what was granted to a closed event loop: nobody is left to use it."""
        for operation in unheard:
            if isinstance(operation, Ask) and operation.error is None:
                self._later(self.withdrawal(None, operation.intent.attempt_id))

    def _fail(self, operations: Iterable[Operation], cause: Exception) -> None:
        """Tell everybody, those who wait too; only notes, which nobody awaits, are tried again."""
        self._roll_back()
        failed = dict.fromkeys([*operations, *self.waiting.clear()])
        for operation in failed:
            if isinstance(operation, Ask) and operation.error is None:
                self.living.discard(operation.intent.attempt_id)
                if isinstance(cause, OutcomeUnknown):
                    # If it turns out to be there, nobody uses it.
                    self.unwritten.append(self.withdrawal(None, operation.intent.attempt_id))
            operation.is_doubtful |= isinstance(cause, OutcomeUnknown)
            operation.error = unavailable(cause)
        self.unwritten += [one for one in failed if one.urgency == "note"]
        deliver(failed)

    def _roll_back(self) -> None:
        """Forget what was not committed, and all that is remembered of the store."""
        self.forget()
        # A store that cannot even roll back says so again at the next transaction.
        with contextlib.suppress(Exception):
            self._store.rollback()


def refuse(operations: Iterable[Operation], cause: Exception) -> None:
    """Tell everybody that the ledger is unavailable."""
    for operation in operations:
        operation.error = unavailable(cause)
    deliver(operations)


def unavailable(cause: Exception) -> LedgerUnavailable:
    """What a failure of the store is to those who use the ledger."""
    if isinstance(cause, LedgerUnavailable):
        return type(cause)(*cause.args)
    error = LedgerUnavailable(
        f"the ledger cannot record, so nothing may be spent ({type(cause).__name__}: {cause}); "
        "see that its store can be written, then resume"
    )
    error.__cause__ = cause
    return error
