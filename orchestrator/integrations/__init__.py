"""For agents that exist already: a LangChain chat model that is governed, and memoized tools."""

from orchestrator.memo.tools import memoized_tool

__all__ = ["memoized_tool"]
