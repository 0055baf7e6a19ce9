"""How long a task may still run."""

from __future__ import annotations

import math

from orchestrator.core.clock import Clock
from orchestrator.core.halt import Halt, Seconds


class Deadline:
    """The end of a task's time on a monotonic clock, never after the end of the task around it.

    Time counts while the task runs, and adds up over its resumes.
    """

    def __init__(
        self,
        clock: Clock,
        timeout_s: float | None,
        *,
        already_s: float = 0.0,
        parent: Deadline | None = None,
        holder: str = "",
    ) -> None:
        """Start the time.

        Args:
            clock: What time is read from.
            timeout_s: Seconds the task may run altogether; ``None``: as long as its parent.
            already_s: Seconds it ran before it was resumed.
            parent: The deadline of the task around it.
            holder: The task's id, for its halt.
        """
        self._holder = holder
        self._clock = clock
        self._timeout_s = timeout_s
        self._already_s = already_s
        self._started_at = clock.monotonic()
        self._parent = parent

    @property
    def running_s(self) -> float:
        """Seconds the task has run, over all its resumes."""
        return self._already_s + self.this_run_s

    @property
    def this_run_s(self) -> float:
        """Seconds since the task was started or last resumed."""
        return self._clock.monotonic() - self._started_at

    @property
    def remaining_s(self) -> float:
        """Seconds left, 0 when the time is over; infinite if nothing sets an end."""
        around = math.inf if self._parent is None else self._parent.remaining_s
        return max(0.0, min(self._own_s(), around))

    def within(self, seconds: float) -> float:
        """``seconds``, or what is left if that is less: the timeout for something that starts."""
        return min(seconds, self.remaining_s)

    def extend(self, seconds: float) -> None:
        """Move the end by ``seconds``; without a timeout, and around it, nothing moves."""
        if self._timeout_s is not None:
            self._timeout_s += seconds

    def check(self, step: str | None = None) -> Halt | None:
        """The halt of a task whose time is over; ``None`` while some is left.

        The outermost task is judged first: where several are over, its end is the reason.

        Args:
            step: The step that wanted to start.
        """
        around = None if self._parent is None else self._parent.check(step)
        if around is not None:
            return around
        return self._halt(step) if self._own_s() <= 0 else None

    def halt(self, step: str | None = None) -> Halt:
        """The halt of whichever end comes first, here or around, whether or not it has come.

        A timer may ring a moment before this clock shows the time.

        Args:
            step: The step that wanted to start.
        """
        first = self
        around = self._parent
        while around is not None:
            if around._own_s() <= first._own_s():  # noqa: SLF001 - of its own kind
                first = around
            around = around._parent  # noqa: SLF001 - as above
        return first._halt(step)  # noqa: SLF001 - as above

    def _halt(self, step: str | None) -> Halt:
        limit = None if self._timeout_s is None else Seconds(self._timeout_s)
        return Halt(
            reason="timeout",
            scope="task",
            limit=limit,
            spent=Seconds(round(self.running_s, 3)),
            step=step,
            holder=self._holder,
            detail=(
                f"The task's time of {limit} is over; resume with "
                "extend={'timeout': '5m'}, or for as long as it needs."
            ),
        )

    def _own_s(self) -> float:
        return math.inf if self._timeout_s is None else self._timeout_s - self.running_s
