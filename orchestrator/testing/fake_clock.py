"""Time that passes only when a test says so."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A :class:`~orchestrator.core.clock.Clock` without waiting.

    Who sleeps is awake at once, and the clock then shows when: retries come without their pauses.
    Deadlines are measured on it, but nothing ends *while* it stands still: a test of what a
    deadline cuts off needs the machine's own clock.

    Example::

        clock = FakeClock(datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
        orchestrator = Orchestrator.from_policy("policy.yaml", clock=clock)
        clock.advance(hours=1)   # over the change to summer time, into another window
    """

    def __init__(self, now: datetime = _START) -> None:
        """Start at ``now``.

        Raises:
            ValueError: If ``now`` has no time zone.
        """
        if now.tzinfo is None:
            message = f"{now!r} has no time zone; pass an aware datetime such as datetime(…, UTC)."
            raise ValueError(message)
        self._now = now.astimezone(UTC)
        self._monotonic = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start, as far as they were made to pass."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self.advance(seconds=max(seconds, 0.0))
        await asyncio.sleep(0)

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> None:
        """Let time pass; both readings move by the same.

        Raises:
            ValueError: If it would go back.
        """
        span = timedelta(days=days, hours=hours, seconds=seconds)
        if span < timedelta():
            message = f"time does not go back by {-span}; use set() to change the time of day."
            raise ValueError(message)
        with self._lock:
            self._now += span
            self._monotonic += span.total_seconds()

    def set(self, now: datetime) -> None:
        """Change the time of day, as an administrator does: the other reading does not move.

        Raises:
            ValueError: If ``now`` has no time zone.
        """
        self._now = FakeClock(now).now()
