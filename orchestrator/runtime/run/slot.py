"""The handle by which an attempt on its way can be stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.money import Money

Phase = Literal["ordered", "waiting", "wire", "done"]


@dataclass(slots=True, eq=False)
class Slot:
    """An attempt on its way.

    Attributes:
        phase: ``waiting`` for money (nothing has left), on the ``wire``, or neither.
        cost: What was booked, once it is.
        attempt_id: The attempt, once it is.
        needs_s: How long it needs on the wire at the least: it waits no longer than leaves that.
        wire_s: How long it was on the wire, by the runtime's clock.
    """

    phase: Phase = "ordered"
    cost: Money = Money.ZERO
    attempt_id: str = ""
    needs_s: float = 0.0
    wire_s: float = 0.0
    _timer: asyncio.Timeout | None = None
    _opened_at: float = field(default_factory=time.monotonic)

    @asynccontextmanager
    async def during(self, phase: Phase, seconds: float) -> AsyncIterator[None]:
        """Be in ``phase``, for ``seconds`` at most.

        Raises:
            TimeoutError: When they are over, or :meth:`stop` ended the phase.
        """
        self.phase = phase
        if phase == "waiting":
            seconds -= self.needs_s
        try:
            async with asyncio.timeout(seconds) as self._timer:
                yield
        finally:
            self._timer = None
            self.phase = "done"

    def stop(self, *phases: Phase) -> None:
        """End the present phase if it is one of ``phases``. Call on the engine's loop."""
        if self.phase in phases and self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time())

    def seconds(self) -> float:
        """Seconds since the attempt was ordered."""
        return time.monotonic() - self._opened_at
