"""``exact``: the stated answer is the right one, letter for letter."""

from __future__ import annotations

from orchestrator.bench.scorers.stated import stated_answer

_IGNORED_AT_THE_ENDS = "*_`$\"' \t\r\n."


def score_exact(reply: str, answer: str) -> float:
    """1 if the stated answer (the whole reply, if none is marked) is ``answer``, else 0.

    Case, runs of white space, and dots, quotes and Markdown around the answer do not matter.
    """
    stated = stated_answer(reply)
    return float(_normal(reply if stated is None else stated) == _normal(answer))


def _normal(text: str) -> str:
    return " ".join(text.strip(_IGNORED_AT_THE_ENDS).casefold().split())
