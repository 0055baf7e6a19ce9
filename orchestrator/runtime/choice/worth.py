"""What is noted of a reply, to learn later what it was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.memo.sharing import SECRET
from orchestrator.models.protocol import Completion
from orchestrator.models.scripted import question
from orchestrator.routing.learning.observation import Asked, Observation, Outcome, signals_of
from orchestrator.routing.signals.agreement import agreement
from orchestrator.routing.signals.structure import parse
from orchestrator.runtime.asking.judging import Judged
from orchestrator.runtime.run.labels import labels_of
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.task_run import TaskRun


def asked_of(run: TaskRun, request: AskRequest) -> Asked | None:
    """What is known of a prompt before any reply; ``None``: it is secret, or no text."""
    if SECRET in labels_of(run) | request.labels:
        return None
    text = _prompt(request)
    return Asked.of(text) if text else None


def _prompt(request: AskRequest) -> str:
    return question([one for one in request.messages if one["role"] == "user"])


def observed(
    blank: Observation, judged: Judged, action: str, request: AskRequest, *, ask: str
) -> Observation:
    """What a reply shows, as numbers.

    Args:
        blank: Whose step it is, and what it asks for.
        judged: The reply.
        action: Who gave it.
        request: What was asked.
        ask: The ask it belongs to.
    """
    paid, verdict = judged.paid, judged.verdict
    signals, ending = signals_of(_prompt(request), paid.completion.text)
    return replace(
        blank,
        attempt_id=paid.attempt_id,
        ask=ask,
        action=action,
        passed=not verdict.failed,
        checks={one.name: one.score for one in verdict.checks if one.score is not None},
        failed=verdict.failed,
        signals=signals,
        ending=ending,
    )


def as_concluded(judged: Judged, seen: Observation, taken: Judged | None) -> Observation:
    """What was seen, with what is known of it once it is decided whose reply answers."""
    if taken is not None and judged.paid.attempt_id == taken.paid.attempt_id:
        return seen
    agrees = None
    if taken is not None:
        agrees = says_same(judged.paid.completion, taken.paid.completion)
    return replace(seen, taken=False, agrees=agrees)


def told_by_person(replies: Sequence[Observation]) -> list[Outcome]:
    """What a person's answer to the question about an ask's replies says of them.

    Of a reply that was accepted, that it is right; what follows for the others, the log tells.
    Where the person wrote another, that each is as right as it says the same.
    """
    accepted = [one for one in replies if one.taken]
    return [
        Outcome(
            attempt_id=one.attempt_id,
            score=float(one.taken or bool(one.agrees)),
            source="person",
        )
        for one in accepted or replies
    ]


def says_same(one: Completion, two: Completion) -> bool:
    """Whether two replies come to the same: the same calls, or the same result."""
    if one.tool_calls or two.tool_calls:
        calls = [
            sorted((call.name, call.arguments) for call in each.tool_calls) for each in (one, two)
        ]
        return calls[0] == calls[1]
    return agreement(one.text, two.text, parse(one.text), parse(two.text))[0] == 1.0
