"""The running task, found without passing anything by hand."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from orchestrator.core.errors import NoRunningTask

if TYPE_CHECKING:
    from orchestrator.runtime.orchestrator import Orchestrator
    from orchestrator.runtime.task_run import TaskRun

RUNNING: ContextVar[TaskRun | None] = ContextVar("orchestrator_running_task", default=None)

OPENED: ContextVar[Orchestrator | None] = ContextVar("orchestrator_opened", default=None)
"""The orchestrator whose ``with`` block this code stands in."""


def running_task() -> TaskRun:
    """The run this code belongs to.

    Raises:
        NoRunningTask: If no task runs here.
    """
    run = RUNNING.get()
    if run is None:
        message = (
            "No task is running here. current_task() and streams work inside a graph started by "
            "Orchestrator.run; a thread of your own needs contextvars.copy_context()."
        )
        raise NoRunningTask(message)
    return run


def opened_orchestrator() -> Orchestrator:
    """The orchestrator whose policy governs a call outside of every task.

    Raises:
        NoRunningTask: If none is open here.
    """
    orchestrator = OPENED.get()
    if orchestrator is None:
        message = (
            "No task is running here, and no orchestrator is open. Run your graph with "
            "Orchestrator.run, or make the call inside `with Orchestrator.from_policy(...)`; a "
            "thread of your own needs contextvars.copy_context()."
        )
        raise NoRunningTask(message)
    return orchestrator
