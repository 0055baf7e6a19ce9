"""What a node may know about the task it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf

from orchestrator.core.money import Money
from orchestrator.runtime.run.context import running_task
from orchestrator.runtime.run.labels import note
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.spending.charges import Quantity, charge, measured

SCARCE = 10
"""Less than one part in this many left before the first call: time to finish."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left before the task halts; ``None`` where nothing is limited.

    Attributes:
        money: Of the task's own budget and those of the tasks around it, without what is kept for
            a ``finish=True`` step. Budgets shared with other tasks are not looked at.
        seconds: Until the deadline.
        calls: Model calls.
    """

    money: Money | None
    seconds: float | None
    calls: int | None


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The task this code runs in."""

    _run: TaskRun

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self._run.scope.task_id

    def label(self, *labels: str) -> None:
        """Say that the task has read something so labelled, for which no step or tool spoke.

        A memo keeps what is asked from now on as narrowly as the labels say (``private``,
        ``secret``, or the team's own).
        """
        note(self._run, labels)

    def charge(self, resource: str, quantity: Quantity) -> Money:
        """Book that something was used that is neither a model nor a tool; what it costs.

        The price of one unit stands in the policy under ``resources:``. A charge is booked once for
        its place, so a node that runs again does not charge again. It is a fact: what a budget
        cannot serve is booked above it and halts the task.

        Args:
            resource: The resource, as ``cpu_second``, ``egress:eu->us`` or ``human_minute``.
            quantity: How much, in its own unit.

        Raises:
            ValueError: If the policy has no price for it, or the quantity is no number from 0.
            Halted: If a budget cannot serve it. Let it pass.
        """
        return charge(self._run, resource, quantity)

    def measured(
        self, *, cpu: str | None = None, elapsed: Mapping[str, Quantity] | None = None
    ) -> AbstractContextManager[None]:
        """Charge for what the code in a ``with`` block uses, each time it runs.

        Args:
            cpu: The resource that a CPU second is. Of this thread alone: exact in a sync node; in
                an async one whatever else its event loop does meanwhile is counted too.
            elapsed: Resources used while time passes, with the units used each second:
                ``{"gpu_second": 2}``, ``{"gib_second": "0.5"}``.
        """
        return measured(self._run, cpu=cpu, elapsed=elapsed or {})

    @property
    def remaining(self) -> Remaining:
        """What is left now, by the tightest budget and limit of this task and those around it."""
        left = self._run.gauge.remaining()
        seconds = None if left.seconds == inf else left.seconds
        return Remaining(self._run.money_left(), seconds, left.model_calls)

    @property
    def should_finish(self) -> bool:
        """Whether one more call like the last ones might not leave enough to finish with.

        By the worst case and the time of the last calls, and one call that has to be left; before
        the first call, whether less than a tenth of the task's money or time is left. An agent
        that plans its own end asks its last question now, with ``finish=True``: that one may draw
        on ``finish_reserve`` and on what is left beside it.
        """
        run, left = self._run, self.remaining
        if run.halt is not None or (left.calls is not None and left.calls <= 1):
            return True
        if left.money is not None and left.money < self._money_to_go_on():
            return True
        return left.seconds is not None and left.seconds < self._seconds_to_go_on()

    def _money_to_go_on(self) -> Money:
        """What one more call, and the last one after it, may cost."""
        run = self._run
        call, last = run.outlay.money(), run.outlay.money(ahead=2)
        if call is None or last is None:
            return Money((run.money_allowed_nano() or 0) // SCARCE)
        kept = max((rule.finish_reserve for rule in run.rules), default=Money.ZERO)
        return max(call, call + last - kept)

    def _seconds_to_go_on(self) -> float:
        """How long one more call, and the last one after it, may take."""
        call = self._run.outlay.seconds
        return (self._run.limits.timeout_s or 0) / SCARCE if call is None else call * 2


def current_task() -> CurrentTask:
    """The running task.

    Raises:
        NoRunningTask: Outside a running task.
    """
    return CurrentTask(running_task())
