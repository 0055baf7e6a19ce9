"""What a node may know about the task it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from orchestrator.core.money import Money
from orchestrator.runtime.context import running_task
from orchestrator.runtime.labels import note
from orchestrator.runtime.task_run import TaskRun

SCARCE = 10
"""Less than one part in this many left: time to finish."""


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

    @property
    def remaining(self) -> Remaining:
        """What is left now, by the tightest budget and limit of this task and those around it."""
        left = self._run.gauge.remaining()
        seconds = None if left.seconds == inf else left.seconds
        return Remaining(self._run.money_left(), seconds, left.model_calls)

    @property
    def should_finish(self) -> bool:
        """Whether less than a tenth of the task's money, time or model calls is left.

        An agent that plans its own end asks its last question now, with ``finish=True``.
        """
        run, left = self._run, self.remaining
        money = None if left.money is None else left.money.nano
        return run.halt is not None or any(
            (
                _is_scarce(money, run.money_allowed_nano()),
                _is_scarce(left.seconds, run.limits.timeout_s),
                _is_scarce(left.calls, run.limits.model_calls),
            )
        )


def _is_scarce(left: float | None, whole: float | None) -> bool:
    return left is not None and whole is not None and left * SCARCE < whole


def current_task() -> CurrentTask:
    """The running task.

    Raises:
        NoRunningTask: Outside a running task.
    """
    return CurrentTask(running_task())
