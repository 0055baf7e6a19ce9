"""Carrying out one task: its graph is looked at before, Ctrl-C is handled meanwhile."""

from __future__ import annotations

import asyncio
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.output import INTERRUPTED, print_result, resume_command
from orchestrator.core.errors import TaskNotFound

if TYPE_CHECKING:
    from orchestrator.core.events import Listener
    from orchestrator.runtime.orchestrator import Orchestrator
    from orchestrator.runtime.run.results import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One task to carry out, and the options that say how.

    Attributes:
        task_id: The task.
        policy: The policy's path.
        store: The ledger's URL.
        as_json: Whether standard output is for a program: only the result may go there.
        log: Whether every event is written to standard error.
    """

    task_id: str
    policy: str
    store: str
    as_json: bool
    log: bool


def carry_out(work: Work, ask: Callable[[Orchestrator], Awaitable[TaskResult]]) -> None:
    """Let ``ask`` run or resume the task, print how it stands, end with the exit code for that.

    Raises:
        BadParameter: If an argument is no such thing.
        Exit: If the task did not complete.
    """
    # What the graph's own nodes print is not the result.
    elsewhere = redirect_stdout(sys.stderr) if work.as_json else nullcontext()
    try:
        with elsewhere:
            result, interrupted = asyncio.run(_carry_out(work, ask))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except asyncio.CancelledError as error:
        raise typer.Exit(INTERRUPTED) from error
    print_result(
        result,
        interrupted=interrupted,
        as_json=work.as_json,
        resume=resume_command(work.task_id, work.policy, work.store),
    )


async def _carry_out(
    work: Work, ask: Callable[[Orchestrator], Awaitable[TaskResult]]
) -> tuple[TaskResult, bool]:
    from orchestrator.runtime.orchestrator import Orchestrator

    async with Orchestrator.from_policy(
        work.policy, store=work.store, listeners=_listeners(log=work.log)
    ) as orchestrator:
        with _interruptible(orchestrator, work.task_id) as interrupts:
            result = await ask(orchestrator)
    return result, bool(interrupts.stops)


def _listeners(*, log: bool) -> list[Listener]:
    if not log:
        return []
    from orchestrator.telemetry.structlog_listener import StructlogListener

    return [StructlogListener()]


def check_graph(name: str, param_hint: str) -> None:
    """Import the graph ``module:name`` and see whether it can run, before anything is recorded.

    Raises:
        BadParameter: If it cannot, with what to change.
    """
    from langgraph.checkpoint.memory import InMemorySaver

    from orchestrator.runtime import graphs

    # As when a module is run: the user's graph lies in the folder the user stands in.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        graphs.bind(name, InMemorySaver())
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = str(error)
        if place.filename != graphs.__file__:
            where = "" if isinstance(error, SyntaxError) else f" ({place.filename}:{place.lineno})"
            message = f"{name!r} cannot be loaded: {type(error).__name__}: {error}{where}"
        raise typer.BadParameter(message, param_hint=param_hint) from error


# Ctrl-C


@dataclass(slots=True)
class _Interrupts:
    """Ctrl-C: the first pauses the task, the second cancels what it does, the third ends us."""

    orchestrator: Orchestrator
    task_id: str
    stops: list[asyncio.Task[None]] = field(default_factory=list)

    def strike(self, carrying_out: asyncio.Task[object]) -> None:
        if self.stops:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            stop, text = self.orchestrator.cancel, "Cancelling what runs."
        else:
            stop = self.orchestrator.pause
            text = "Halting: attempts on their way are waited for. Ctrl-C again cancels them."
        typer.echo(text, err=True)
        self.stops.append(asyncio.create_task(self._stop(stop, carrying_out)))

    async def _stop(
        self, stop: Callable[[str], Awaitable[None]], carrying_out: asyncio.Task[object]
    ) -> None:
        try:
            await stop(self.task_id)
        except TaskNotFound:  # nothing is recorded yet, so there is nothing to halt
            carrying_out.cancel()


@contextmanager
def _interruptible(orchestrator: Orchestrator, task_id: str) -> Iterator[_Interrupts]:
    loop = asyncio.get_running_loop()
    carrying_out = asyncio.current_task()
    assert carrying_out is not None, "called from a coroutine"
    interrupts = _Interrupts(orchestrator, task_id)
    loop.add_signal_handler(signal.SIGINT, interrupts.strike, carrying_out)
    try:
        yield interrupts
    finally:
        loop.remove_signal_handler(signal.SIGINT)
