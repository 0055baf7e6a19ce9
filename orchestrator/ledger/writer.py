"""The writer: one thread that owns the store and commits what was queued together.

Group commit is what makes a durable reservation cheap: while one transaction reaches the disk, the
next operations queue up, and all of them share the next one.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import TypeVar

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger import book
from orchestrator.ledger.operation import Answer, Operation, Urgency, deliver
from orchestrator.ledger.rows import Wanted, to_us
from orchestrator.ledger.store import OutcomeUnknown, Store
from orchestrator.ledger.unit import UnitOfWork
from orchestrator.ledger.waiting import Ask, Waiting, by_ticket

T = TypeVar("T")

MAX_BATCH = 512
LINGER_S = 0.05
"""How long a note waits for an operation to share a transaction with."""
MAX_REMEMBERED = 4096
"""How many rows may be remembered from one transaction to the next."""
MAX_TRIES = 5
"""How often a batch is tried that the store undoes for a reason that passes."""
TRY_AFTER_S = 0.01


class _Cue(Enum):
    """What may lie in the queue beside operations."""

    CLOSE = auto()
    LOOK = auto()


class Writer:
    """Runs operations in order, in transactions, on a thread of its own.

    Attributes:
        living: Ids of open attempts of this ledger, whose owner therefore lives. Only operations,
            which run on the writer's thread, may touch it.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        """Own ``store``, whose connection lives on the writer's thread."""
        self.living: set[str] = set()
        self._store = store
        self._now = now
        self._queue: SimpleQueue[Operation | _Cue] = SimpleQueue()
        self._waiting = Waiting(now)
        self._unwritten: list[Operation] = []
        self._unit = UnitOfWork(store)
        self._version = 0
        self._pause_s = store.look_after_s[0]
        self._looked_at = 0.0
        self._is_cued = False
        self._door = threading.Lock()
        self._is_open = False
        self._closing = Operation(None)

    def start(self) -> Answer:
        """Start the thread; the answer comes when the store is open."""
        answer = Answer()
        opening = Operation(answer)
        threading.Thread(
            target=self._main, args=(opening,), name="orchestrator-ledger", daemon=True
        ).start()
        return answer

    def stop(self) -> Answer:
        """Write what is queued and close the store; the answer comes when that is done."""
        answer = Answer()
        closing = Operation(answer)
        with self._door:
            if self._is_open:
                self._is_open = False
                self._closing = closing
                self._queue.put(_Cue.CLOSE)
            else:
                deliver([closing])
        return answer

    def submit(self, operation: Operation) -> None:
        """Queue an operation.

        Raises:
            LedgerUnavailable: If the ledger is not open.
        """
        with self._door:
            if not self._is_open:
                message = "the ledger is not open; await its open() first"
                raise LedgerUnavailable(message)
            self._queue.put(operation)

    def _main(self, opening: Operation) -> None:
        try:
            self._store.open()
            self._store.watch(self._wake)
        except Exception as error:  # noqa: BLE001 - whatever it was is told to who opens
            opening.error = _unavailable(error)
            deliver([opening])
            return
        self._is_open = True
        deliver([opening])
        try:
            while self._round():
                pass
        finally:
            self._shut()

    def _shut(self) -> None:
        """Close the store; who still waits will not be served."""
        with self._door:
            self._is_open = False
        left: list[Operation] = list(self._waiting.clear())
        while not self._queue.empty():
            operation = self._queue.get()
            if isinstance(operation, Operation):
                left.append(operation)
        try:
            self._store.close()
        finally:
            _refuse(left, LedgerUnavailable("the ledger was closed"))
            if self._unwritten:
                message = "what was noted last could not be written before the ledger closed"
                self._closing.error = LedgerUnavailable(message)
            deliver([self._closing])

    def _round(self) -> bool:
        """Collect one batch and carry it out; ``False`` after the last."""
        batch, is_last = self._collect()
        writes = [operation for operation in batch if operation.urgency != "read"]
        is_written = True
        if writes:
            is_written = self._commit(writes)
        reads = [operation for operation in batch if operation.urgency == "read"]
        if is_written:
            self._read(reads)
        else:
            _refuse(reads, LedgerUnavailable("what was queued before could not be written"))
        # By the clock, not when there is nothing else to do: a busy ledger would never see that
        # the owner of what its waiters wait for has died.
        if self._seconds_to_look() == 0:
            self._look()
        return not is_last

    def _collect(self) -> tuple[list[Operation], bool]:
        """Wait for operations and take all there are; empty if it is time to look around."""
        timeout = self._seconds_to_look()
        fresh: list[Operation] = []
        linger_until = 0.0
        is_last = False
        while len(fresh) < MAX_BATCH:
            try:
                operation = self._queue.get(timeout=timeout)
            except Empty:
                break
            if operation is _Cue.CLOSE:
                is_last = True
                break
            if operation is _Cue.LOOK:
                # Before looking: what changes from now on is worth another cue.
                self._is_cued = False
                self._looked_at = 0.0
                break
            if not fresh:
                linger_until = time.monotonic() + LINGER_S
            fresh.append(operation)
            if operation.urgency != "note":
                linger_until = 0.0
            timeout = max(linger_until - time.monotonic(), 0.0)
        if not (fresh or is_last):
            return [], False
        batch, self._unwritten = [*self._unwritten, *fresh], []
        return batch, is_last

    def _commit(self, batch: list[Operation]) -> bool:
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
                return True

    def _transact(self, batch: list[Operation], answered: list[Operation]) -> None:
        """Carry out a batch in one transaction, and serve those whose turn has come.

        Args:
            batch: What to do.
            answered: Filled with those who have their answer, once it is committed.
        """
        store, waiting = self._store, self._waiting
        store.begin(write=True)
        unit, others_wrote = self._begin_unit()
        wanted = Wanted()
        for operation in batch:
            operation.want(wanted)
        unit.load(wanted)
        for operation in batch:
            if isinstance(operation, Ask):
                if not waiting.arrive(unit, operation):
                    continue
                self._note_grant(operation)
            else:
                operation.run(unit)
            answered.append(operation)
        served = waiting.review_all(unit) if others_wrote else waiting.review(unit)
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
        asking = [one for one in answered if isinstance(one, Ask)] + self._waiting.clear()
        for ask in asking:
            self.living.discard(ask.intent.attempt_id)
        earlier = set(asking).difference(batch)
        return [*sorted(earlier, key=by_ticket), *batch]

    def _read(self, reads: list[Operation]) -> None:
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
            _refuse(reads, error)
        else:
            deliver(reads)

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

    def _wake(self) -> None:
        """Have the writer look around, if somebody waits; callable from any thread."""
        if self._waiting and not self._is_cued:
            self._is_cued = True
            self._queue.put(_Cue.LOOK)

    def _seconds_to_look(self) -> float | None:
        """When to look around next; ``None`` if nobody waits for what others may do."""
        if not (self._waiting and self._store.shared):
            return None
        return max(self._looked_at + self._pause_s - time.monotonic(), 0.0)

    def _look(self) -> None:
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
            self._commit([Operation(None, self.expire_overdue)])
        elif has_changed:
            self._commit([])

    def expire_overdue(self, unit: UnitOfWork) -> int:
        """Expire overdue attempts, but those of this ledger: their owner lives."""
        return book.expire_overdue(unit, self.living, self._now())

    def withdrawal(self, answer: Answer | None, attempt_id: str) -> Operation:
        """The operation that undoes an ask, whether it waits or was granted."""

        def run(unit: UnitOfWork) -> None:
            self._waiting.leave(attempt_id)
            self.living.discard(attempt_id)
            book.withdraw(unit, attempt_id, self._now())

        urgency: Urgency = "now" if answer is not None else "note"
        return Operation(answer, run, urgency=urgency, holds=(attempt_id,))

    def _begin_unit(self) -> tuple[UnitOfWork, bool]:
        """The unit of work to go on with, and whether somebody else wrote since the last one.

        Nobody can write now, so what is remembered is true if nobody did.
        """
        before, self._version = self._version, self._store.version()
        others_wrote = self._version != before
        if others_wrote:
            self._pause_s = self._store.look_after_s[0]
        if others_wrote or len(self._unit) > MAX_REMEMBERED:
            self._unit = UnitOfWork(self._store)
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
                self._queue.put(self.withdrawal(None, operation.intent.attempt_id))

    def _fail(self, operations: Iterable[Operation], cause: Exception) -> None:
        """Tell everybody, those who wait too; only notes, which nobody awaits, are tried again."""
        self._roll_back()
        failed = dict.fromkeys([*operations, *self._waiting.clear()])
        for operation in failed:
            if isinstance(operation, Ask) and operation.error is None:
                self.living.discard(operation.intent.attempt_id)
                if isinstance(cause, OutcomeUnknown):
                    # If it turns out to be there, nobody uses it.
                    self._unwritten.append(self.withdrawal(None, operation.intent.attempt_id))
            operation.error = _unavailable(cause)
        self._unwritten += [one for one in failed if one.urgency == "note"]
        deliver(failed)

    def _roll_back(self) -> None:
        """Forget what was not committed, and all that is remembered of the store."""
        self._unit = UnitOfWork(self._store)
        # A store that cannot even roll back says so again at the next transaction.
        with contextlib.suppress(Exception):
            self._store.rollback()


def _refuse(operations: Iterable[Operation], cause: Exception) -> None:
    for operation in operations:
        operation.error = _unavailable(cause)
    deliver(operations)


def _unavailable(cause: Exception) -> LedgerUnavailable:
    if isinstance(cause, LedgerUnavailable):
        return LedgerUnavailable(*cause.args)
    error = LedgerUnavailable(
        f"the ledger cannot record, so nothing may be spent ({type(cause).__name__}: {cause}); "
        "see that its store can be written, then resume"
    )
    error.__cause__ = cause
    return error
