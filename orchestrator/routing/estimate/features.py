"""The features of one decision, in one order for fitting and for serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

from orchestrator.routing.signals.agreement import agreement
from orchestrator.routing.signals.hashing import ending
from orchestrator.routing.signals.structure import Structure, parse, structure_signals
from orchestrator.routing.signals.text import reply_signals
from orchestrator.routing.signals.working import working


@dataclass(frozen=True, slots=True)
class Endings:
    """How often the replies of a model ended in which form; see `signals.hashing.ending`."""

    seen: Mapping[str, int]
    total: int

    def __call__(self, form: str, *, own: bool = False) -> float:
        """The logarithm of how usual a form is.

        Args:
            form: Of one reply.
            own: Whether that reply is one of those counted: it does not vouch for itself, or every
                form would look more usual where outcomes are known than it will anywhere else.
        """
        return log((self.seen.get(form, 0) - own + 1) / (self.total - own + 1))


@dataclass(frozen=True, slots=True)
class Read:
    """A reply as the checks have read it, once.

    Attributes:
        text: The reply.
        structure: The calls it makes, if it makes any.
        signals: What it shows about itself.
        ending: The form of its last line.
    """

    text: str
    structure: Structure | None
    signals: tuple[float, ...]
    ending: str


def read(prompt: str, reply: str) -> Read:
    """Read off a reply whatever is free to read."""
    structure = parse(reply)
    signals = (
        *reply_signals(prompt, reply),
        *working(prompt, reply),
        *structure_signals(prompt, structure),
    )
    return Read(reply, structure, signals, ending(reply))


def compare(one: Read, two: Read) -> tuple[float, ...]:
    """How far two replies agree."""
    return agreement(one.text, two.text, one.structure, two.structure)


def dense(
    prompt: Sequence[float], replies: Sequence[Read], endings: Sequence[Endings], *, agree: bool
) -> list[float]:
    """All numbers of one case: of the prompt, of each reply, of each pair of replies.

    Args:
        prompt: What `prompt_signals` gives.
        replies: The replies so far, in the order of the models.
        endings: What is known of their forms, one per reply.
        agree: Whether replies are compared with each other.
    """
    found = list(prompt)
    for reply, usual in zip(replies, endings, strict=True):
        found += [*reply.signals, usual(reply.ending)]
    if agree:
        for one, two in combinations(replies, 2):
            found += compare(one, two)
    return found
