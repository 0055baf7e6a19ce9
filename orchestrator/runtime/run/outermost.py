"""A call outside of every task: it becomes a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

from orchestrator.core.errors import NoRunningTask, OrchestratorError
from orchestrator.core.halt import Halted

if TYPE_CHECKING:
    from orchestrator.runtime.run.results import TaskResult

T = TypeVar("T")


class Opened(Protocol):
    """An orchestrator whose ``with`` block code stands in."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop it was opened on."""
        ...

    async def run(
        self,
        graph: Any,
        input: Any,  # noqa: A002 - LangGraph's word
        *,
        agent: str,
    ) -> TaskResult:
        """Run a task."""
        ...


OPENED: ContextVar[Opened | None] = ContextVar("orchestrator_opened", default=None)
"""The orchestrator whose ``with`` block this code stands in."""


class Block:
    """The ``with`` block of one orchestrator, which may stand inside that of another."""

    def __init__(self, orchestrator: Opened) -> None:
        """It is not entered yet."""
        self._orchestrator = orchestrator
        self._around: Opened | None = None

    def enter(self) -> None:
        """From here on its orchestrator is the one that is open."""
        self._around = OPENED.get()
        OPENED.set(self._orchestrator)

    def leave(self) -> None:
        """From here on it is the one around it, if any."""
        # Not by a token: a fixture may leave in another context than it entered.
        if OPENED.get() is self._orchestrator:
            OPENED.set(self._around)


class Outside(TypedDict, total=False):
    """The state of such a task's graph, which is one node."""

    asked: Any


async def as_task(
    work: Callable[[], Awaitable[T]], *, name: str, agent: str | None, asked: object
) -> T:
    """Do ``work`` as a task of the orchestrator that is open here, and return what it returns.

    Args:
        work: What to do, inside the task.
        name: What the task's only node is called.
        agent: Whose task it is; ``name`` unless given.
        asked: What is asked, kept as the task's input.

    Raises:
        Halted: If the task halted; it can be resumed in this process by the id in the message.
        NoRunningTask: If no orchestrator is open here.
        OrchestratorError: If the task failed in a way that is no error of ``work`` itself.
    """
    orchestrator = opened_orchestrator()
    # Whoever only runs finished graphs does not pay for loading what builds them.
    from langgraph.graph import START, StateGraph  # noqa: PLC0415 - slow to load

    done: list[T] = []
    failed: list[Exception] = []

    async def node(state: Outside) -> Outside:
        try:
            done.append(await work())
        except Exception as error:
            failed.append(error)
            raise
        return state

    graph = StateGraph(Outside).add_node(name, node).add_edge(START, name).compile(name=name)
    result: TaskResult = await _on(
        orchestrator.loop, orchestrator.run(graph, {"asked": asked}, agent=agent or name)
    )
    if result.halt is not None:
        halted = Halted(result.halt)
        halted.add_note(f"task {result.task_id}")
        raise halted
    if failed and result.status == "failed":
        raise failed[-1]
    if not done:
        message = f"task {result.task_id} failed: {result.error}"
        raise OrchestratorError(message)
    return done[-1]


async def _on(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
    """Do ``work`` on the loop that the orchestrator was opened on."""
    if loop is asyncio.get_running_loop():
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def opened_orchestrator() -> Opened:
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
