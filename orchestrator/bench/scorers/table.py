"""The scorers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.bench.scorers.contains import score_contains
from orchestrator.bench.scorers.exact import score_exact
from orchestrator.bench.scorers.number import is_number, score_number

Scorer = Callable[[str, str], float]
"""From a reply and the right answer to a score between 0 and 1."""


def score_auto(reply: str, answer: str) -> float:
    """``number`` where the right answer is a number, else ``exact``."""
    return score_number(reply, answer) if is_number(answer) else score_exact(reply, answer)


SCORERS: Mapping[str, Scorer] = {
    "auto": score_auto,
    "number": score_number,
    "exact": score_exact,
    "contains": score_contains,
}
