"""The callback handler through which a task's rules reach into LangGraph."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphInterrupt

from orchestrator.core.halt import Halted

if TYPE_CHECKING:
    from orchestrator.runtime.task_run import TaskRun


class GovernedHandler(BaseCallbackHandler):
    """Counts node and tool starts, and turns a refusal into an interrupt.

    LangGraph keeps the work of siblings, and re-runs only the node in question on resume, when a
    node ends with an interrupt that asks nothing. User code cannot raise that reliably (it may
    swallow what we raise in it), but a callback runs after user code and has the last word.
    """

    raise_error = True
    run_inline = True

    def __init__(self, run: TaskRun) -> None:
        """Watch over ``run``."""
        self._run = run
        self._namespaces: dict[UUID, str] = {}
        self._inside: set[str] = set()
        _quiet_conversions()

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A node starts: name its place, count it."""
        if not metadata or kwargs.get("name") != metadata.get("langgraph_node"):
            return
        if metadata["langgraph_node"].startswith("__"):
            return
        namespace = metadata["langgraph_checkpoint_ns"]
        if namespace in self._inside:
            return  # something inside the node that has the node's name
        if not self._run.node_may_start(namespace, metadata):
            raise GraphInterrupt
        self._namespaces[run_id] = namespace
        self._inside.add(namespace)

    def on_chain_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """A node failed: if it was refused, it is not a failure."""
        refused = self._run.was_refused(self._leave(run_id))
        if refused or _carries_refusal(error):
            raise GraphInterrupt from error

    def on_chain_end(
        self,
        outputs: dict[str, Any],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """A node returned: if it was refused, what it returned is no result."""
        if self._run.was_refused(self._leave(run_id)):
            raise GraphInterrupt

    def _leave(self, run_id: UUID) -> str | None:
        """The namespace of the node that ends; ``None`` if it is none that was noted."""
        namespace = self._namespaces.pop(run_id, None)
        if namespace is not None:
            self._inside.discard(namespace)
        return namespace

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool starts: count it."""
        name = (serialized or {}).get("name") or kwargs.get("name") or "tool"
        namespace = (metadata or {}).get("langgraph_checkpoint_ns", "")
        if not self._run.tool_may_start(namespace, name, input_str):
            raise GraphInterrupt


def _carries_refusal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_carries_refusal(one) for one in error.exceptions)
    return isinstance(error, Halted)


class _ConversionFilter(logging.Filter):
    """Drops langchain-core's one warning for each refusal that became an interrupt."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep everything but that warning."""
        arguments = record.args
        return not (
            isinstance(arguments, tuple)
            and len(arguments) == 3  # noqa: PLR2004 - handler, event, error
            and arguments[0] == GovernedHandler.__name__
            and str(arguments[2]).startswith(GraphInterrupt.__name__)
        )


def _quiet_conversions() -> None:
    logger = logging.getLogger("langchain_core.callbacks.manager")
    if not any(isinstance(one, _ConversionFilter) for one in logger.filters):
        logger.addFilter(_ConversionFilter())
