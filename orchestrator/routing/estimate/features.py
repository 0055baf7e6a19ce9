"""The features of one decision, in one order for fitting and for serving."""

from __future__ import annotations

from itertools import combinations

from orchestrator.routing.signals.agreement import AGREEMENT, agreement
from orchestrator.routing.signals.structure import STRUCTURE, Structure, parse, structure_signals
from orchestrator.routing.signals.text import REPLY, reply_signals
from orchestrator.routing.signals.working import WORKING, working

EVIDENCE = (*REPLY, *WORKING, *STRUCTURE)
"""Names of the numbers that `evidence` returns, in their order."""

__all__ = ["AGREEMENT", "EVIDENCE", "agreements", "evidence", "read"]


def read(reply: str) -> Structure | None:
    """The calls a reply makes, if it makes any; read once, used by several signals."""
    return parse(reply)


def evidence(prompt: str, reply: str, structure: Structure | None) -> tuple[float, ...]:
    """What one reply shows about itself, as the numbers of `EVIDENCE`."""
    return (
        *reply_signals(prompt, reply),
        *working(prompt, reply),
        *structure_signals(prompt, structure),
    )


def agreements(replies: list[tuple[str, Structure | None]]) -> list[float]:
    """How far each pair of replies agrees, pairs in order of the list."""
    return [
        value
        for (one, mine), (two, theirs) in combinations(replies, 2)
        for value in agreement(one, two, (mine, theirs))
    ]
