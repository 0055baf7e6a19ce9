"""How far two replies to the same prompt agree."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from orchestrator.routing.signals.structure import Structure
from orchestrator.routing.signals.working import last_number

_WORD = re.compile(r"\w+")
_SHORT = 60
"""Characters up to which a reply is its result and is compared as a whole."""

AGREEMENT = ("same", "same_names", "overlap", "one_structured")
"""Names of the numbers that `agreement` returns, in their order."""


def agreement(
    first: str, second: str, one: Structure | None, two: Structure | None
) -> tuple[float, ...]:
    """Compare two replies: tool calls without order, results by value, prose by its words.

    Args:
        first: One reply.
        second: The other.
        one: The first as `structure.parse` reads it.
        two: The second likewise.

    Returns:
        The numbers of `AGREEMENT`: the same result; the same tools called; the share of arguments
        or words in common; one calls tools and the other does not.
    """
    if one is not None and two is not None:
        same = one == two
        names = one.names == two.names
        return float(same), float(names), 1.0 if same else _jaccard(one.values, two.values), 0.0
    if one is not None or two is not None:
        return 0.0, 0.0, 0.0, 1.0
    words = _jaccard(_words(first), _words(second))
    return float(_same_result(first.strip(), second.strip())), 1.0, words, 0.0


def _same_result(first: str, second: str) -> bool:
    if len(first) <= _SHORT and len(second) <= _SHORT and not last_number(first):
        return _words(first) == _words(second)
    mine, theirs = last_number(first), last_number(second)
    return mine is not None and mine == theirs


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _jaccard(first: AbstractSet[object], second: AbstractSet[object]) -> float:
    return len(first & second) / len(first | second) if first or second else 1.0
