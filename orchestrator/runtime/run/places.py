"""Where in a graph an ask stands, in words that are the same after any restart."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from orchestrator.runtime.run.request import digest

Frame = list[Any] | int


class Place:
    """One execution of one node, or the outside of all nodes.

    LangGraph's own task ids and namespaces differ from run to run when a crash left no checkpoint,
    and a graph that is called with a thread of its own starts them anew. So a place is named by
    what the graphs themselves fix: for each node around, outermost first, the node's name, the
    superstep and the position in a fan-out; and, where a node calls graphs more than once, which
    call it is.

    Attributes:
        frames: Those names.
        around: The node execution in which this one runs; ``None`` for the outside.
        namespace: LangGraph's own name of it, which tells a node from what runs inside it.
        refused: Whether something was refused in it, so that what it returns is no result.
        questions: What a person was asked in it, by the journal key of the ask.
    """

    def __init__(
        self, frames: tuple[Frame, ...] = (), around: Place | None = None, namespace: str = ""
    ) -> None:
        """A place in which nothing was asked yet."""
        self.frames = frames
        self.around = around
        self.namespace = namespace
        self.refused = False
        self.questions: dict[str, Mapping[str, Any]] = {}
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """The place as one word."""
        return digest(self.frames)

    def key(self, name: str, request_digest: str) -> str:
        """The journal key of the next ask of this request here.

        A node that is executed again (a retry policy, a resume) is a place of its own with the same
        frames: it counts from the beginning, so each ask finds the reply of the first execution.
        """
        nth = self.count(f"{name}\x00{request_digest}")
        return digest([self.frames, name, request_digest, nth])

    def count(self, what: str) -> int:
        """How often ``what`` happened here before; it happens once more now."""
        with self._lock:
            nth = self._asked[what]
            self._asked[what] += 1
        return nth

    def refuse(self) -> None:
        """Let neither this execution nor those around it commit what they return."""
        for place in self.and_around():
            place.refused = True

    def ask(self, key: str, question: Mapping[str, Any]) -> None:
        """Let this execution and those around it end with a question to a person."""
        for place in self.and_around():
            place.refused = True
            place.questions[key] = question

    def and_around(self) -> Iterator[Place]:
        """This place and those around it, innermost first."""
        place: Place | None = self
        while place is not None:
            yield place
            place = place.around


HERE: ContextVar[Place | None] = ContextVar("orchestrator_place", default=None)
"""The node execution this code belongs to. Set when a node starts, so also code below a node that
was given callbacks of its own, where LangGraph tells us nothing, is found to be in that node."""


class Places:
    """The node executions of one run, by the callback run that stands for each."""

    def __init__(self) -> None:
        """Nothing has started."""
        self.outside = Place()
        self._of_run: dict[UUID, tuple[Place, tuple[Frame, ...]]] = {}
        self._nodes: dict[UUID, Place] = {}

    def here(self) -> Place:
        """The place of the code that asks."""
        return HERE.get() or self.outside

    def enter(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        name: str,
        metadata: Mapping[str, Any],
    ) -> Place | None:
        """Note that something starts; the new place, if it is a node.

        Args:
            run_id: The callback run that starts.
            parent_run_id: The one it starts in.
            name: Its name.
            metadata: Its metadata, in which LangGraph says where it is.
        """
        around, frames = self._around(parent_run_id)
        namespace = str(metadata.get("langgraph_checkpoint_ns", ""))
        node = metadata.get("langgraph_node")
        is_inside = around is not self.outside and around.namespace == namespace
        if name != node or node.startswith("__") or is_inside:
            nth = around.count(f"call\x00{name}")
            self._of_run[run_id] = (around, (*frames, nth) if nth else frames)
            return None
        position = [part for part in metadata["langgraph_path"] if type(part) is int]
        frames = (*frames, [node, metadata["langgraph_step"], position])
        place = Place(frames, around, namespace)
        self._of_run[run_id] = (place, frames)
        self._nodes[run_id] = place
        HERE.set(place)
        return place

    def pass_through(self, run_id: UUID, parent_run_id: UUID | None) -> Place:
        """Note that something starts that is neither graph nor node, as a tool; where it runs."""
        self._of_run[run_id] = self._around(parent_run_id)
        return self._of_run[run_id][0]

    def leave(self, run_id: UUID) -> Place | None:
        """Note that something ends; its place, if it was a node."""
        self._of_run.pop(run_id, None)
        return self._nodes.pop(run_id, None)

    def _around(self, parent_run_id: UUID | None) -> tuple[Place, tuple[Frame, ...]]:
        if parent_run_id is not None and parent_run_id in self._of_run:
            return self._of_run[parent_run_id]
        here = self.here()
        return here, here.frames
