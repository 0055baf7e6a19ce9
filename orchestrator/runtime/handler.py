"""The callback handler through which a task's rules reach into LangGraph."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.halt import Halted
from orchestrator.runtime.asking.tool_signs import teach
from orchestrator.runtime.run.context import TOOL_START, ToolStart
from orchestrator.runtime.spending.granting import interrupts
from orchestrator.runtime.tools import GOVERNED, arguments_digest

if TYPE_CHECKING:
    from orchestrator.runtime.run.places import Place
    from orchestrator.runtime.run.task_run import TaskRun


class GovernedHandler(BaseCallbackHandler):
    """Counts node and tool starts, and turns a refusal into an interrupt.

    LangGraph keeps the work of siblings, and re-runs only the node in question on resume, when a
    node ends with an interrupt, which asks nothing or a person for more money. User code cannot
    raise that reliably (it may swallow what we raise in it), but a callback runs after user code
    and has the last word.
    """

    raise_error = True
    run_inline = True

    def __init__(self, run: TaskRun) -> None:
        """Watch over ``run``."""
        self._run = run
        self._started: dict[UUID, ToolStart] = {}
        _quiet_conversions()

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Something starts: if it is a node, name its place and count it."""
        name = str(kwargs.get("name"))
        place = self._run.places.enter(run_id, parent_run_id, name, metadata or {})
        if place is not None and not self._run.node_may_start(place):
            self._run.places.leave(run_id)
            raise self._interrupt(None)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A node failed: if it was refused, it is not a failure."""
        place = self._run.places.leave(run_id)
        if self._run.was_refused(place) or _carries_refusal(error):
            raise self._interrupt(place) from error

    def on_chain_end(self, outputs: dict[str, Any], *, run_id: UUID, **kwargs: Any) -> None:
        """A node returned: if it was refused, what it returned is no result."""
        place = self._run.places.leave(run_id)
        if self._run.was_refused(place):
            raise self._interrupt(place)

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool starts: count it, unless it is a governed one, which counts itself."""
        name = (serialized or {}).get("name") or kwargs.get("name") or "tool"
        place = self._run.places.pass_through(run_id, parent_run_id)
        is_governed = bool((kwargs.get("metadata") or {}).get(GOVERNED))
        start = ToolStart(name, kwargs.get("tool_call_id"), is_counted=not is_governed)
        TOOL_START.set(start)
        self._started[run_id] = start
        if not is_governed:
            asked = place.key(f"tool:{name}", arguments_digest({"input": input_str}))
            if self._run.tool_may_start(place, f"{name}|{asked}"):
                self._run.places.leave(run_id)
                raise self._interrupt(None)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool returned.

        Raises:
            OrchestratorError: If the policy asks for more than counting and nobody did it.
        """
        self._run.places.leave(run_id)
        start = self._started.pop(run_id, None)
        if start is None:
            return
        is_loose = start.is_counted and not start.is_claimed
        start.is_claimed = True
        if is_loose and self._run.policy.tools[start.name].needs_governing:
            message = (
                f"the policy has rules for the tool {start.name!r}, which was called without them: "
                "give the agent governed_tools([...]) or a GovernedMiddleware, or decorate the "
                "function with @tool_cost()"
            )
            raise OrchestratorError(message)
        teach(self._run, start.call_id, worked=getattr(output, "status", None) != "error")

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool failed."""
        self._run.places.leave(run_id)
        if start := self._started.pop(run_id, None):
            start.is_claimed = True
            if isinstance(error, Exception) and not isinstance(error, Halted | GraphBubbleUp):
                teach(self._run, start.call_id, worked=False)

    def _interrupt(self, place: Place | None) -> GraphInterrupt:
        """What ends a node that was refused: an interrupt with the questions it asks, if any."""
        questions = {} if place is None else place.questions
        asked = [Interrupt(question, key) for key, question in questions.items()]
        return GraphInterrupt([*asked, *interrupts(self._run.halt)])


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
