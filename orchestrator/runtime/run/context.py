"""The running task, found without passing anything by hand."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.errors import NoRunningTask

if TYPE_CHECKING:
    from orchestrator.core.scope import Scope
    from orchestrator.runtime.run.task_run import TaskRun

RUNNING: ContextVar[TaskRun | None] = ContextVar("orchestrator_running_task", default=None)

TOOL_START: ContextVar[ToolStart | None] = ContextVar("orchestrator_tool_start", default=None)
"""The LangChain tool that runs here."""


@dataclass(slots=True)
class ToolStart:
    """A LangChain tool that has started.

    Attributes:
        name: Its name.
        call_id: The id under which a model asked for it.
        is_counted: Whether it counts as a call already.
        is_claimed: Whether a governed call was found in it, or it is over.
    """

    name: str
    call_id: str | None
    is_counted: bool
    is_claimed: bool = False

    def claim(self, name: str) -> bool:
        """Whether the governed call of ``name`` in here is this very call, counted already."""
        is_this = self.is_counted and not self.is_claimed and name == self.name
        self.is_claimed = self.is_claimed or is_this
        return is_this


def scope_here() -> Scope | None:
    """Whose task runs here; ``None``: none does."""
    run = RUNNING.get()
    return None if run is None else run.scope


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
