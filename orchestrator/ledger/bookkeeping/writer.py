"""The writer: one thread that owns the store and commits what was queued together.

Group commit is what makes a durable reservation cheap: while one transaction reaches the disk, the
next operations queue up, and all of them share the next one.

Notes, which nobody awaits, lie in the queue as one bundle, to which more can be added until it is
taken. So the first of them wakes the thread and the others do not: being woken, it would want the
interpreter for each of them, and it is the agents' loop that would have to give it up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto
from queue import Empty, SimpleQueue

from orchestrator.core.errors import LedgerClosed, LedgerUnavailable
from orchestrator.ledger.bookkeeping.operation import Answer, Operation, deliver
from orchestrator.ledger.bookkeeping.transactor import Transactor, refuse, unavailable
from orchestrator.ledger.stores.store import Store

MAX_BATCH = 512
LINGER_S = 0.05
"""How long a note waits for an operation to share a transaction with."""


class _Cue(Enum):
    """What may lie in the queue beside operations."""

    CLOSE = auto()
    LOOK = auto()


class Writer:
    """Runs operations in order, in transactions, on a thread of its own.

    Attributes:
        transactor: Carries the operations out. Only its methods that make operations, and
            operations themselves, may be used from outside of the writer's thread.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        """Own ``store``, whose connection lives on the writer's thread."""
        self._store = store
        self._queue: SimpleQueue[list[Operation] | _Cue] = SimpleQueue()
        self._notes: list[Operation] = []  # the bundle that is open
        self.transactor = Transactor(store, now, lambda operation: self._queue.put([operation]))
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
                raise LedgerClosed(message)
            is_note = operation.urgency == "note"
            if is_note and 0 < len(self._notes) < MAX_BATCH:
                self._notes.append(operation)
                return
            bundle = [operation]
            # What is noted after an operation is written after it: in another bundle.
            self._notes = bundle if is_note else []
            self._queue.put(bundle)

    def _main(self, opening: Operation) -> None:
        try:
            self._store.open()
            self._store.watch(self._wake)
        except Exception as error:  # noqa: BLE001 - whatever it was is told to who opens
            opening.error = unavailable(error)
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
        left: list[Operation] = list(self.transactor.waiting.clear())
        while not self._queue.empty():
            bundle = self._queue.get()
            if isinstance(bundle, list):
                left += bundle
        try:
            self._store.close()
        finally:
            refuse(left, LedgerClosed("the ledger was closed"))
            if self.transactor.unwritten:
                message = "what was noted last could not be written before the ledger closed"
                self._closing.error = LedgerUnavailable(message)
            deliver([self._closing])

    def _round(self) -> bool:
        """Collect one batch and carry it out; ``False`` after the last."""
        transactor = self.transactor
        batch, is_last = self._collect()
        writes = [operation for operation in batch if operation.urgency != "read"]
        is_written = True
        if writes:
            is_written = transactor.commit(writes)
        reads = [operation for operation in batch if operation.urgency == "read"]
        if is_written:
            transactor.read(reads)
        else:
            refuse(reads, LedgerUnavailable("what was queued before could not be written"))
        # By the clock, not when there is nothing else to do: a busy ledger would never see that
        # the owner of what its waiters wait for has died.
        if transactor.seconds_to_look() == 0:
            transactor.look()
        return not is_last

    def _collect(self) -> tuple[list[Operation], bool]:
        """Wait for operations and take all there are; empty if it is time to look around."""
        timeout = self.transactor.seconds_to_look()
        bundles: list[list[Operation]] = []
        count = 0
        linger_until = 0.0
        is_last = False
        while count < MAX_BATCH:
            try:
                bundle = self._queue.get(timeout=timeout)
            except Empty:
                break
            if bundle is _Cue.CLOSE:
                is_last = True
                break
            if bundle is _Cue.LOOK:
                # Before looking: what changes from now on is worth another cue.
                self._is_cued = False
                self.transactor.look_soon()
                break
            if not bundles:
                linger_until = time.monotonic() + LINGER_S
            bundles.append(bundle)
            count += len(bundle)
            if bundle[0].urgency != "note":
                linger_until = 0.0
            timeout = max(linger_until - time.monotonic(), 0.0)
        if not (bundles or is_last):
            return [], False
        with self._door:
            if any(bundle is self._notes for bundle in bundles):
                self._notes = []
        fresh = [operation for bundle in bundles for operation in bundle]
        batch, self.transactor.unwritten = [*self.transactor.unwritten, *fresh], []
        return batch, is_last

    def _wake(self) -> None:
        """Have the writer look around, if somebody waits; callable from any thread."""
        if self.transactor.waiting and not self._is_cued:
            self._is_cued = True
            self._queue.put(_Cue.LOOK)
