"""Finding the recorded reply to what is asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property

from orchestrator.core.redaction import mask
from orchestrator.testing.upstream.recording import RecordedReply

_ANCHOR_LENGTH = 16
_NAMES_SHOWN = 20


class UnknownQuestion(LookupError):  # noqa: N818 - reads as the state it reports
    """Nothing is recorded for what was asked; the text says what is."""


class ReplyIndex:
    """Replies by model and by question; the longest question contained in what is asked wins.

    Of replies of one model to one question the first recorded is served.
    """

    def __init__(self, replies: Iterable[RecordedReply]) -> None:
        """Sort ``replies`` by model."""
        by_model: dict[str, dict[str, RecordedReply]] = {}
        for reply in replies:
            by_model.setdefault(reply.model, {}).setdefault(reply.prompt.strip(), reply)
        self._questions = {model: _Questions(found) for model, found in by_model.items()}
        self._by_tail: dict[str, list[str]] = {}
        for model in by_model:
            self._by_tail.setdefault(_tail(model), []).append(model)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that answered."""
        return tuple(self._questions)

    def find(self, model: str, asked: str) -> RecordedReply:
        """The reply of ``model`` to ``asked``.

        Raises:
            UnknownQuestion: If there is none.
        """
        recorded = self._model(model)
        questions = self._questions[recorded]
        # Whoever wrote the recording masked what looks like a secret.
        reply = questions.find(asked) or questions.find(mask(asked))
        if reply is None:
            message = f"no recorded question of {recorded} is contained in {asked[:200]!r}"
            raise UnknownQuestion(message)
        return reply

    def _model(self, model: str) -> str:
        if model in self._questions:
            return model
        alike = self._by_tail.get(_tail(model), [])
        if len(alike) == 1:
            return alike[0]
        known = alike or sorted(self._questions)
        problem = "is ambiguous" if alike else "is not recorded"
        names = ", ".join(known[:_NAMES_SHOWN]) + (", ..." if known[_NAMES_SHOWN:] else "")
        message = f"model {model!r} {problem}; recorded: {names}"
        raise UnknownQuestion(message)


class _Questions:
    """One model's replies by question.

    The recorded questions that begin at one place of a text are prefixes of the rest of it, so they
    are found by bisection in sorted order: the greatest question not after the rest, or the longest
    of that one's own prefixes. Only places where some question's first characters stand are tried.
    """

    def __init__(self, replies: Mapping[str, RecordedReply]) -> None:
        self._replies = replies

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._replies)

    @cached_property
    def _prefix(self) -> dict[str, str]:
        """The longest other question that each question begins with."""
        prefix: dict[str, str] = {}
        open_questions: list[str] = []
        for question in self._sorted:
            while open_questions and not question.startswith(open_questions[-1]):
                open_questions.pop()
            if open_questions:
                prefix[question] = open_questions[-1]
            open_questions.append(question)
        return prefix

    @cached_property
    def _anchor_length(self) -> int:
        return min(_ANCHOR_LENGTH, *map(len, self._sorted)) if self._sorted else 0

    @cached_property
    def _anchors(self) -> frozenset[str]:
        return frozenset(question[: self._anchor_length] for question in self._sorted)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._sorted))

    def find(self, asked: str) -> RecordedReply | None:
        whole = self._replies.get(asked.strip())
        if whole is not None:
            return whole
        anchors, length, best = self._anchors, self._anchor_length, ""
        for start in range(len(asked) - length + 1):
            if asked[start : start + length] in anchors:
                best = max(best, self._at(asked[start : start + self._longest]), key=len)
        return self._replies.get(best)

    def _at(self, rest: str) -> str:
        """The longest question that ``rest`` begins with, or nothing."""
        place = bisect_right(self._sorted, rest)
        question = self._sorted[place - 1] if place else ""
        while question and not rest.startswith(question):
            question = self._prefix.get(question, "")
        return question


def _tail(model: str) -> str:
    """The name without its provider's prefix."""
    return model.rpartition("/")[2]
