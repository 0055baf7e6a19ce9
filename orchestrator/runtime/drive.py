"""Run a graph until it ends, halts, fails or its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.errors import GraphInterrupt, InvalidUpdateError

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.redaction import mask
from orchestrator.runtime.asking.memory import bind_memoized_tools
from orchestrator.runtime.asking.questions import described, is_ours, told
from orchestrator.runtime.graphs import Bound
from orchestrator.runtime.handler import GovernedHandler
from orchestrator.runtime.run.context import RUNNING
from orchestrator.runtime.run.places import HERE
from orchestrator.runtime.run.task_run import TaskRun

LEAVE_BEHIND_S = 1.0
"""How long code that was cancelled may take to end before its run goes on without it."""

INTERRUPTS = "__interrupt__"

STOPS = (Halted, GraphInterrupt, asyncio.CancelledError)
"""How a graph ends that was stopped, by where it was when it happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run of a graph ended."""

    status: TaskStatus
    output: Any = None
    partial: Any = None
    halt: Halt | None = None
    error: BaseException | None = None
    questions: Mapping[str, Any] = field(default_factory=dict)


async def drive(run: TaskRun, graph: Bound, given: Any) -> Ending:
    """Run ``graph`` on ``given`` (``None`` to go on) and tell how it ended.

    Attempts in flight have come to their end, and are journaled, when this returns.
    """
    config: RunnableConfig = {
        "configurable": {"thread_id": run.scope.task_id},
        "callbacks": [GovernedHandler(run)],
    }
    running = asyncio.create_task(
        graph.ainvoke(given, config, durability=run.policy.durability), context=_context(run)
    )
    # What is left behind may fail unseen: its result is dropped, so its error is of no use either.
    running.add_done_callback(_error_of)
    run.started_on(asyncio.get_running_loop())
    try:
        await _until_over(run, running)
    except asyncio.CancelledError:
        run.latch(Halt(reason="cancelled", scope="task", detail="run() was cancelled."))
        await _stop(run, running)
        raise
    finally:
        run.graph_ended()
        await run.land()
    return await _ending(run, graph, config, running)


def _context(run: TaskRun) -> Context:
    """A context in which ``run`` is the running task and no node, nor config, is around."""
    context = copy_context()
    context.run(RUNNING.set, run)
    context.run(HERE.set, None)
    context.run(bind_memoized_tools, run)
    context.run(var_child_runnable_config.set, None)
    return context


async def _until_over(run: TaskRun, running: asyncio.Future[Any]) -> None:
    """Wait for the graph, but no longer than the deadline, nor than ``cancel()`` allows."""
    cancelled = asyncio.ensure_future(run.cancelled.wait())
    try:
        await asyncio.wait(
            {running, cancelled},
            timeout=run.deadline.remaining_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        cancelled.cancel()
    if not running.done():
        if not run.cancelled.is_set():
            run.halt_for(run.halt_or_timeout(None))
        run.cut()
        await _stop(run, running)


async def _stop(run: TaskRun, running: asyncio.Future[Any]) -> None:
    """Cancel the graph; code that ignores that is left behind and its results are dropped."""
    running.cancel()
    await asyncio.wait({running}, timeout=LEAVE_BEHIND_S)
    if not running.done():
        run.close()


async def _ending(
    run: TaskRun,
    graph: Bound,
    config: RunnableConfig,
    running: asyncio.Future[Any],
) -> Ending:
    if run.broken is not None:
        raise run.broken
    is_over = running.done() and not run.is_left_behind
    error = _error_of(running) if is_over else None
    if isinstance(error, LedgerUnavailable):
        raise error
    if error is not None and not (run.halt and isinstance(error, STOPS)):
        return Ending(status="failed", error=error, partial=await _partial(graph, config))
    output = running.result() if is_over and error is None else None
    stopped = run.halt is not None and (error is not None or run.has_refused or not is_over)
    if not stopped and not _waits(graph, output):
        return Ending(status="completed", output=output)
    try:
        state = await graph.aget_state(config)
    except InvalidUpdateError as invalid:
        return Ending(status="failed", error=invalid)
    if not state.next and output is not None:
        # Nothing is left to run: whatever was refused was not needed.
        return Ending(status="completed", output=output)
    halt = run.halt if run.halt is not None else _question(state)
    questions = {one.id: one.value for one in state.interrupts}
    return Ending(status="halted", halt=halt, partial=state.values, questions=questions)


def _error_of(running: asyncio.Future[Any]) -> BaseException | None:
    if not running.done():
        return None
    if running.cancelled():
        return asyncio.CancelledError()
    return running.exception()


def _waits(graph: Bound, output: Any) -> bool:
    """Whether the graph may have stopped to be asked or continued."""
    asked = isinstance(output, Mapping) and INTERRUPTS in output
    return asked or bool(graph.interrupt_before_nodes or graph.interrupt_after_nodes)


def _question(state: Any) -> Halt:
    asked = state.interrupts
    step = None
    if not asked:
        where = ", ".join(state.next)
        detail = f"The graph stops before or after {where}; resume to go on."
    elif len(asked) == 1:
        detail = told(asked[0])
        step = asked[0].value["step"] if is_ours(asked[0]) else None
    else:
        questions = ", ".join(
            f"{one.id!r}: {described(one.value) if is_ours(one) else repr(one.value)}"
            for one in asked
        )
        detail = f"The graph asks {{{questions}}}; resume with answer={{id: answer, …}}"
    return Halt(reason="question", scope="task", step=step, detail=mask(detail))


async def _partial(graph: Bound, config: RunnableConfig) -> Any:
    try:
        return (await graph.aget_state(config)).values
    except InvalidUpdateError:
        # A user's graph can make its own state unreadable: two writes where one is allowed.
        return None
