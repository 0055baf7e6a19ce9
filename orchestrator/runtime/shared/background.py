"""Work that no task waits for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Protocol

from orchestrator.core.clock import Clock
from orchestrator.runtime.shared.engine import Engine, mirror

AT_ONCE = 4
"""Chores on their way at a time: they share loop and connections with what is waited for."""

REST_S = 60.0
"""Seconds for which nothing of a name begins after one that failed."""


class Chore(Protocol):
    """One piece of work."""

    @property
    def name(self) -> str:
        """What it has in common with those that will fail if it did."""
        ...

    async def carry_out(self) -> bool:
        """Do it, on the engine's loop; whether that went well."""
        ...

    def stop(self) -> None:
        """Let it come to its end at once, from whichever thread."""
        ...


class Background:
    """The chores of one orchestrator. Safe across threads."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Work on ``engine``."""
        self._engine = engine
        self._clock = clock
        self._lock = threading.RLock()
        self._working: dict[Chore, Future[bool]] = {}
        self._resting_until_s: dict[str, float] = {}
        self._closed = False

    def begin(self, chore: Chore) -> bool:
        """Begin with ``chore``, unless enough is on its way or its kind rests; whether it began."""
        with self._lock:
            rests = self._resting_until_s.get(chore.name, 0.0) > self._clock.monotonic()
            if self._closed or rests or len(self._working) >= AT_ONCE:
                return False
            work = self._working[chore] = self._engine.submit(chore.carry_out())
            work.add_done_callback(lambda done: self._ended(chore, done))
        return True

    async def aclose(self) -> None:
        """Stop every chore and wait for its end; none begins any more."""
        with self._lock:
            self._closed = True
            working = dict(self._working)
        for chore in working:
            chore.stop()
        for work in working.values():
            await asyncio.wrap_future(mirror(work))

    def _ended(self, chore: Chore, done: Future[bool]) -> None:
        with self._lock:
            self._working.pop(chore, None)
            if done.cancelled() or done.exception() is not None or not done.result():
                self._resting_until_s[chore.name] = self._clock.monotonic() + REST_S
        if not done.cancelled() and done.exception() is not None:
            # No one awaits it: the loop's handler logs what no one foresaw.
            context = {"message": f"{chore.name} failed", "exception": done.exception()}
            self._engine.loop.call_exception_handler(context)
