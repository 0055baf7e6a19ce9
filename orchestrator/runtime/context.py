"""The running task, found without passing anything by hand."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from orchestrator.core.errors import NoRunningTask

if TYPE_CHECKING:
    from orchestrator.runtime.task_run import TaskRun

RUNNING: ContextVar[TaskRun | None] = ContextVar("orchestrator_running_task", default=None)


def running_task() -> TaskRun:
    """The run this code belongs to.

    Raises:
        NoRunningTask: If no task runs here.
    """
    run = RUNNING.get()
    if run is None:
        message = (
            "No task is running here. step(...) and current_task() work inside a graph started by "
            "Orchestrator.run; a thread of your own needs contextvars.copy_context()."
        )
        raise NoRunningTask(message)
    return run
