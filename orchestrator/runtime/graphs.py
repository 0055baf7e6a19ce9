"""From what a user calls a graph to one that runs under our checkpointer."""

from __future__ import annotations

import importlib
import os
from typing import Any

# Read by LangGraph when it is imported: a checkpoint then brings back only the types that the
# graph's own state names. Too late if the user's code imported LangGraph first; docs/security.md
# says so.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

Graph = Any
"""A ``StateGraph``, a compiled graph, or ``"module:name"`` of either."""


def find_graph(graph: Graph) -> Graph:
    """Resolve ``"module:name"``; anything else is returned as it is.

    Raises:
        ValueError: If the text has another form or names nothing.
    """
    if not isinstance(graph, str):
        return graph
    module_name, colon, name = graph.partition(":")
    if not (colon and module_name and name):
        message = f"A graph is named as 'module:name', not {graph!r}."
        raise ValueError(message)
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        message = f"There is no graph {graph!r}: {error}"
        if isinstance(error, ModuleNotFoundError) and error.name == module_name:
            message += f"; stand in the folder of {module_name}.py, or install it"
        raise ValueError(message) from error
    return found() if callable(found) and not isinstance(found, (StateGraph, Pregel)) else found


Bound = Pregel[Any, Any, Any, Any]


def compiled(graph: Graph) -> Bound:
    """Find ``graph`` and compile it, if it is not.

    Raises:
        ValueError: If it is named and cannot be found.
        TypeError: If it is no graph.
    """
    found = find_graph(graph)
    if isinstance(found, StateGraph):
        return found.compile()
    if isinstance(found, Pregel):
        return found
    message = (
        "run() takes a StateGraph, a compiled graph or 'module:name' of one, "
        f"not {type(found).__name__}."
    )
    raise TypeError(message)


def bind(graph: Graph, checkpointer: BaseCheckpointSaver[Any]) -> Bound:
    """A copy of ``graph``, compiled, with ``checkpointer`` as its own.

    Raises:
        ValueError, TypeError: As :func:`compiled`.
    """
    found = compiled(graph)
    # A copy forgets which types of its state a strict checkpointer may bring back.
    allowed = getattr(found, "_serde_allowlist", None)
    own = checkpointer.with_allowlist(allowed) if allowed else checkpointer
    return found.copy({"checkpointer": own})


def label(graph: Graph) -> str:
    """How the ledger names the graph: ``"module:name"`` as given, else its name in brackets."""
    if isinstance(graph, str):
        return graph
    return f"<{getattr(graph, 'name', None) or type(graph).__name__}>"


def can_be_found(label: str) -> bool:
    """Whether a graph's label leads back to it."""
    return not label.startswith("<")
