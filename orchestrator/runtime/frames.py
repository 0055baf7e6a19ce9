"""Where in a graph an ask stands, in words that are the same after any restart."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrator.runtime.request import digest

SEGMENT_END = "|"
Frame = list[Any] | int


class Frames:
    """The node executions of one run, by LangGraph's checkpoint namespace.

    LangGraph's own task ids differ from run to run when a crash left no checkpoint, so a place is
    named by what the graph itself fixes: the node, the superstep, and the position in a fan-out.
    """

    def __init__(self) -> None:
        """Start with no node seen."""
        self._lock = threading.Lock()
        self._frame_of: dict[str, Frame] = {}
        self._asked: dict[str, Counter[str]] = {}

    def enter(self, namespace: str, metadata: Mapping[str, Any]) -> str:
        """Note that a node execution starts, and return the digest of its place.

        A node that is executed again (a retry policy, a resume) counts its asks from the
        beginning, so that each finds the reply of its first execution.
        """
        frame: Frame = [
            metadata["langgraph_node"],
            metadata["langgraph_step"],
            [part for part in metadata["langgraph_path"] if type(part) is int],
        ]
        with self._lock:
            self._frame_of[namespace] = frame
            self._asked[namespace] = Counter()
            return digest(self._path(namespace))

    def key(self, namespace: str, step: str, request_digest: str) -> str:
        """The journal key of the next ask of this request in this node execution."""
        name = f"{step}\x00{request_digest}"
        with self._lock:
            asked = self._asked.setdefault(namespace, Counter())
            nth = asked[name]
            asked[name] += 1
            return digest([self._path(namespace), step, request_digest, nth])

    def _path(self, namespace: str) -> list[Frame]:
        """The frame of each segment, outermost first."""
        path: list[Frame] = []
        prefix = ""
        for segment in namespace.split(SEGMENT_END) if namespace else ():
            prefix = f"{prefix}{SEGMENT_END}{segment}" if prefix else segment
            if segment.isdecimal():
                path.append(int(segment))
            else:
                # Unknown only if user code replaced the callbacks on the way down.
                path.append(self._frame_of.get(prefix) or [segment.partition(":")[0]])
        return path


def prefixes(namespace: str) -> list[str]:
    """``a|b`` -> ``a``, ``a|b``: the node and every node around it."""
    segments = namespace.split(SEGMENT_END)
    return [SEGMENT_END.join(segments[: count + 1]) for count in range(len(segments))]
