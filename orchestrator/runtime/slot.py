"""The handle by which an attempt on its way can be stopped."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.money import Money


@dataclass(slots=True, eq=False)
class Slot:
    """An attempt on its way, and the handle by which another thread can stop it.

    Attributes:
        phase: ``waiting`` for money (nothing has left), ``wire`` or ``done``.
        timer: Bounds the present phase; moving it to now ends the phase.
        cost: What was booked, once it is.
    """

    phase: Literal["waiting", "wire", "done"] = "waiting"
    timer: asyncio.Timeout | None = None
    cost: Money = Money.ZERO
    opened_at: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Seconds since the attempt was ordered."""
        return time.monotonic() - self.opened_at

    def stop(self, *phases: str) -> None:
        """End the present phase if it is one of ``phases``. Call on the engine's loop."""
        if self.phase in phases and self.timer is not None and not self.timer.expired():
            self.timer.reschedule(asyncio.get_running_loop().time())
