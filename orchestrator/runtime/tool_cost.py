"""``@tool_cost``: a function of yours as a tool of the running task."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from orchestrator.limits.tools import ToolSettings
from orchestrator.runtime.run import arguments
from orchestrator.runtime.run.context import RUNNING
from orchestrator.runtime.run.outermost import OPENED, as_task
from orchestrator.runtime.tools import GOVERNED, ToolAsk, call_tool, call_tool_sync

P = ParamSpec("P")
R = TypeVar("R")


def tool_cost(
    price: arguments.Amount | None = None,
    *,
    name: str | None = None,
    timeout: arguments.Duration | None = None,
    journal: bool | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Govern a function, plain or async, as a tool.

    Each call in a task counts for ``limits.tool_calls``, holds its price on every budget while it
    runs, and stands in the ledger as ``tool:NAME``. Outside of every task it is an ordinary
    function where no orchestrator is open, and a task of its own where one is.

    What the policy says of the tool under ``tools:`` wins over what is said here.

    Args:
        price: What one call costs.
        name: The tool's name in the policy; the function's unless given.
        timeout: How long one call may take.
        journal: Whether its result, text or plain data, is kept, so that a resume does not call it
            again.

    Raises:
        ValueError: If an argument is no such thing, with every mistake.
    """
    given = arguments.Arguments()
    own = ToolSettings(
        price=given.take("price", price, arguments.amount),
        timeout_s=given.take("timeout", timeout, arguments.seconds),
        journal=journal,
    )
    called = given.take("name", name, arguments.name)
    given.done()

    def decorate(tool: Callable[P, R]) -> Callable[P, R]:
        tool_name = called or tool.__name__
        signature = inspect.signature(tool)

        def ask(*args: P.args, **kwargs: P.kwargs) -> ToolAsk:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return ToolAsk(name=tool_name, arguments=bound.arguments, own=own)

        if inspect.iscoroutinefunction(tool):

            @functools.wraps(tool)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await governed(ask(*args, **kwargs), lambda: tool(*args, **kwargs))

            found = cast("Callable[P, R]", call_async)
        else:

            @functools.wraps(tool)
            def found(*args: P.args, **kwargs: P.kwargs) -> R:
                return cast("R", governed_sync(ask(*args, **kwargs), lambda: tool(*args, **kwargs)))

        setattr(found, GOVERNED, True)
        return found

    return decorate


async def governed(ask: ToolAsk, work: Callable[[], Any]) -> Any:
    """Call an async tool, in the running task or as one of its own."""
    if RUNNING.get() is None and OPENED.get() is None:
        return await work()
    if RUNNING.get() is None:
        return await as_task(
            lambda: call_tool(ask, work), name=ask.name, agent=None, asked=_shown(ask)
        )
    return await call_tool(ask, work)


def governed_sync(ask: ToolAsk, work: Callable[[], Any]) -> Any:
    """Call a plain tool, in the running task or as one of its own.

    Raises:
        RuntimeError: If it would have to be a task of its own on an event loop, which it blocks.
    """
    if RUNNING.get() is None and OPENED.get() is None:
        return work()
    if RUNNING.get() is not None:
        return call_tool_sync(ask, work)
    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def once() -> Any:
            return call_tool_sync(ask, work)

        return asyncio.run(as_task(once, name=ask.name, agent=None, asked=_shown(ask)))
    message = (
        f"tool {ask.name!r} would block this event loop: make it async, or call it in a graph that "
        "Orchestrator.run started"
    )
    raise RuntimeError(message)


def _shown(ask: ToolAsk) -> Mapping[str, str]:
    return {name: repr(value) for name, value in ask.arguments.items()}
