"""The signal of a halt, for whoever waits for something else meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from orchestrator.core.clock import Clock


class Alarm:
    """Rings once, and from then on; waits on any loop, in any thread, end with it."""

    def __init__(self) -> None:
        """Be silent."""
        self._lock = threading.RLock()
        self._has_rung = False
        self._wakes: set[Callable[[], object]] = set()

    def ring(self) -> None:
        """Wake all who wait, and let nobody wait any more."""
        with self._lock:
            self._has_rung = True
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake()

    @asynccontextmanager
    async def until(self) -> AsyncIterator[None]:
        """Wait inside until this rings.

        Raises:
            TimeoutError: If it rings.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as waiting:

            def stop() -> None:
                if not is_over and not waiting.expired():
                    waiting.reschedule(loop.time())

            def wake() -> None:
                loop.call_soon_threadsafe(stop)

            is_over = False
            with self._lock:
                self._wakes.add(wake)
                has_rung = self._has_rung
            if has_rung:
                wake()
            try:
                yield
            finally:
                is_over = True
                with self._lock:
                    self._wakes.discard(wake)

    async def sleep(self, clock: Clock, seconds: float) -> None:
        """Let ``seconds`` of ``clock`` pass, or less: the alarm ends it."""
        with suppress(TimeoutError):
            async with self.until():
                await clock.sleep(seconds)
