"""LangChain tools under the rules of the running task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.tools import tool as as_tool

from orchestrator.runtime.tool_cost import governed, governed_sync
from orchestrator.runtime.tools import GOVERNED, ToolAsk

_INSIDE: ContextVar[BaseTool | None] = ContextVar("orchestrator_inside_tool", default=None)
"""The governed tool that runs here: LangChain's async form of a plain tool calls the plain form."""

_NO_ARGUMENTS = frozenset({"config", "run_manager", "callbacks"})


def governed_tools(
    tools: Iterable[BaseTool | Callable[..., Any]], *, server: str | None = None
) -> list[BaseTool]:
    """Copies of ``tools`` whose calls are counted, paid, timed and journaled as the policy says.

    Give them to ``create_agent``, to ``ToolNode``, or call them in a node. Each finds its rules by
    its name under ``tools:``; a tool of an MCP server finds them under ``mcp:SERVER/NAME``.

    Args:
        tools: LangChain tools or functions.
        server: The MCP server whose tools these are.
    """
    return [governed_tool(one, server=server) for one in tools]


def governed_tool(tool: BaseTool | Callable[..., Any], *, server: str | None = None) -> BaseTool:
    """A copy of one tool; one that is governed already is returned as it is."""
    given = tool if isinstance(tool, BaseTool) else as_tool(tool)
    functions = (getattr(given, "func", None), getattr(given, "coroutine", None))
    is_governed = any(getattr(one, GOVERNED, False) for one in functions)
    if is_governed or (given.metadata or {}).get(GOVERNED):
        return given
    return _Governed(given, f"mcp:{server}/{given.name}" if server else given.name).copy


class _Governed:
    """A tool's copy, whose two forms of running go through the runtime."""

    def __init__(self, tool: BaseTool, name: str) -> None:
        self.name = name
        self.copy = tool.model_copy(update={"metadata": {**(tool.metadata or {}), GOVERNED: True}})
        self._known = frozenset(tool.args)
        self._is_pair = tool.response_format == "content_and_artifact"
        # Instance attributes, so that every kind of tool keeps its own class and its own schema.
        self.copy.__dict__["_run"] = self._plain_form(self.copy._run)  # noqa: SLF001 - a tool is made by overriding it
        self.copy.__dict__["_arun"] = self._async_form(self.copy._arun)  # noqa: SLF001 - the same

    def _plain_form(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def plain(*args: Any, **kwargs: Any) -> Any:
            if _INSIDE.get() is self.copy:
                return run(*args, **kwargs)
            return self._given_back(
                governed_sync(self._ask(args, kwargs), lambda: self._kept(run(*args, **kwargs)))
            )

        return plain

    def _async_form(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            async def work() -> Any:
                token = _INSIDE.set(self.copy)
                try:
                    return self._kept(await run(*args, **kwargs))
                finally:
                    _INSIDE.reset(token)

            return self._given_back(await governed(self._ask(args, kwargs), work))

        return asynchronous

    def _ask(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ToolAsk:
        """What the model chose; what LangChain injects is no part of the call's identity."""
        chosen = {name: value for name, value in kwargs.items() if name in self._known}
        if not self._known:
            chosen = {name: one for name, one in kwargs.items() if name not in _NO_ARGUMENTS}
        return ToolAsk(name=self.name, arguments={"args": list(args), **chosen})

    def _kept(self, result: Any) -> Any:
        return list(result) if self._is_pair and isinstance(result, tuple) else result

    def _given_back(self, result: Any) -> Any:
        return tuple(result) if self._is_pair and isinstance(result, list) else result
