"""What one run has on its way: attempts, tools that hold money, asks whose reader left."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from orchestrator.runtime.run.slot import Phase, Slot
from orchestrator.runtime.shared.engine import Engine
from orchestrator.runtime.storage.journal import Journal, JournaledReply


class InFlight:
    """The hold that a run keeps on everything it started, until each has come to its end."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        """Have nothing on its way."""
        self._engine = engine
        self._journal = journal
        self._lock = threading.RLock()
        self._slots: set[Slot] = set()
        self._pending: set[Future[Any]] = set()
        self._tools: set[Future[None]] = set()
        self._asking: set[asyncio.Task[Any]] = set()

    def launch(self, slot: Slot, work: Any, key: str) -> Future[JournaledReply]:
        """Put an attempt on the engine's loop and keep hold of it until its end."""
        with self._lock:
            future: Future[JournaledReply] = self._engine.submit(work)
            self._slots.add(slot)
            self._pending.add(future)
            self._journal.in_flight[key] = future
        future.add_done_callback(lambda done: self._landed(slot, done, key))
        return future

    def attend(self, over: Future[None]) -> None:
        """A tool that holds money has started: wait for its end too, unless it is cut."""
        self._tools.add(over)
        over.add_done_callback(self._tools.discard)

    def keep(self, asking: asyncio.Task[Any]) -> None:
        """Hold on to a stream's ask whose reader may leave before its end."""
        with self._lock:
            self._asking.add(asking)
        asking.add_done_callback(self._forget)

    def withdraw(self, slot: Slot) -> None:
        """The asker has gone: stop waiting for money; what is on the wire goes on to its end."""
        self._engine.loop.call_soon_threadsafe(slot.stop, "waiting")

    def stop(self, *phases: Phase) -> None:
        """End the attempts that are in one of ``phases``."""
        with self._lock:
            slots = tuple(self._slots)
        for slot in slots:
            self._engine.loop.call_soon_threadsafe(slot.stop, *phases)

    def cut(self) -> None:
        """End everything, what is on the wire too."""
        for over in tuple(self._tools):
            over.cancel()
        self.stop("waiting", "wire")

    def pending(self) -> tuple[Future[Any], ...]:
        """What has not come to its end."""
        with self._lock:
            return (*self._pending, *self._tools)

    def _landed(self, slot: Slot, future: Future[JournaledReply], key: str) -> None:
        with self._lock:
            self._slots.discard(slot)
            self._pending.discard(future)
            if self._journal.in_flight.get(key) is future:
                del self._journal.in_flight[key]

    def _forget(self, asking: asyncio.Task[Any]) -> None:
        with self._lock:
            self._asking.discard(asking)
        if not asking.cancelled():
            # Its reader raises it, or has left: then nobody is to be told.
            asking.exception()
