"""What users say came of a task, as outcomes of the replies it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import TaskHistory, TaskRecord
from orchestrator.routing.learning.observation import Outcome
from orchestrator.runtime.shared.services import Services


def score_of(success: bool | None, score: float | None) -> float:  # noqa: FBT001 - it is what was said
    """The score that was given in one of two ways.

    Raises:
        ValueError: If it was given in both or in none, or is not between 0 and 1.
    """
    if (success is None) == (score is None):
        message = "say either success=True or False, or score= between 0 and 1."
        raise ValueError(message)
    found = float(success is True) if score is None else score
    if not 0 <= found <= 1:
        message = f"score={score} is not between 0 and 1."
        raise ValueError(message)
    return found


async def teach(services: Services, record: TaskRecord, score: float, step: str | None) -> None:
    """Record what came of a task, or of one step of it, as outcomes of its replies.

    One verdict on many replies says less of each: they share its weight.

    Raises:
        ValueError: If the task has no reply of that step.
    """
    scope, ledger = record.opening.scope, services.ledger
    histories = [await ledger.history(one) for one in await ledger.family(scope.task_id)]
    taken = list(_taken(histories))
    chosen = [(of, attempt) for of, attempt in taken if step in (None, of)]
    if step is not None and not chosen:
        known = ", ".join(sorted({of for of, _ in taken})) or "none"
        message = f"{scope.task_id} has no reply of step {step!r}; it has replies of: {known}."
        raise ValueError(message)
    lessons = [
        Lesson(
            tenant=scope.tenant,
            kind="outcome",
            task_id=scope.task_id,
            step=of,
            subject=attempt,
            body=Outcome(
                attempt_id=attempt, score=score, source="user", weight=1 / len(chosen)
            ).body(),
            at=services.clock.now(),
        )
        for of, attempt in chosen
    ]
    await ledger.teach(lessons)
    with suppress(LedgerUnavailable):  # it is told; who asks next will see it
        await services.learner.learn(scope.tenant)


def _taken(histories: Iterable[TaskHistory]) -> Iterable[tuple[str, str]]:
    """Step and attempt of every reply that answered an ask, hits of a memo left out."""
    for history in histories:
        hits = {one.intent.attempt_id for one in history.attempts if one.is_hit}
        for decision in history.decisions.values():
            if decision.attempt_id not in hits:
                yield decision.step, decision.attempt_id
