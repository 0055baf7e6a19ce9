"""What became of the tools that a reply called: a sign of what the reply was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.ledger.lessons import Lesson
from orchestrator.routing.learning.observation import Outcome
from orchestrator.routing.learning.trust import SIGN_WEIGHT

if TYPE_CHECKING:
    from orchestrator.runtime.run.task_run import TaskRun


def teach(run: TaskRun, call_id: str | None, *, worked: bool) -> None:
    """Note whether a tool did what a reply asked of it.

    That it worked is noted too: who hears of failures alone believes that all fail.

    Args:
        run: The task.
        call_id: The call's id in the reply that asked for it; ``None``: no model did.
        worked: Whether the tool returned, and no error.
    """
    asker = run.journal.asker(call_id)
    if asker is None or asker[1].from_memo or asker[1].from_person:
        return  # nothing is learned from those
    step, reply = asker
    sign = Outcome(
        attempt_id=reply.attempt_id, score=float(worked), source="tool", weight=SIGN_WEIGHT
    )
    lesson = Lesson(
        tenant=run.scope.tenant,
        kind="outcome",
        task_id=run.scope.task_id,
        step=step,
        subject=reply.attempt_id,
        body=sign.body(),
        at=run.clock.now(),
    )
    run.ledger.note([lesson])
