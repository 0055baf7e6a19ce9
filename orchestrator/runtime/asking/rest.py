"""The time between two tries of one ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.runtime.run.task_run import TaskRun


@dataclass(frozen=True, slots=True)
class RunClock:
    """The clock of a run, on which a halt ends every sleep."""

    run: TaskRun

    def now(self) -> datetime:
        """The time of day."""
        return self.run.clock.now()

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return self.run.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or when the run halts."""
        await self.run.halting.sleep(self.run.clock, seconds)
