"""The features of one decision, in one order for fitting and for serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

from orchestrator.routing.signals.agreement import agreement
from orchestrator.routing.signals.hashing import ending
from orchestrator.routing.signals.structure import Structure, parse, structure_signals
from orchestrator.routing.signals.text import prompt_signals, reply_signals
from orchestrator.routing.signals.working import working

__all__ = ["Endings", "agreement", "dense", "evidence", "parse"]


@dataclass(frozen=True, slots=True)
class Endings:
    """How often the replies of a model ended in which form; see `signals.hashing.ending`."""

    seen: Mapping[str, int]
    total: int

    def __call__(self, form: str) -> float:
        """The logarithm of how usual a form is."""
        return log((self.seen.get(form, 0) + 1) / (self.total + 1))


def evidence(prompt: str, reply: str, structure: Structure | None) -> tuple[float, ...]:
    """What one reply shows about itself."""
    return (
        *reply_signals(prompt, reply),
        *working(prompt, reply),
        *structure_signals(prompt, structure),
    )


def dense(
    prompt: str, replies: Sequence[str], endings: Sequence[Endings], *, agree: bool
) -> list[float]:
    """All numbers of one case: of the prompt, of each reply, of each pair of replies.

    Args:
        prompt: The question.
        replies: The replies so far, in the order of the models.
        endings: What is known of their forms, one per reply.
        agree: Whether replies are compared with each other.
    """
    found = list(prompt_signals(prompt))
    structures = [parse(reply) for reply in replies]
    for reply, structure, usual in zip(replies, structures, endings, strict=True):
        found += [*evidence(prompt, reply, structure), usual(ending(reply))]
    if agree:
        for (one, mine), (two, theirs) in combinations(zip(replies, structures, strict=True), 2):
            found += agreement(one, two, mine, theirs)
    return found
