"""Audits: now and then another model is asked the same, so that it is known what replies are worth.

Which replies is drawn before anything of their outcome is seen, by a fair hash of task and ask, so
that what audits say of those drawn holds of all. A reply is compared with that of the dearest model
of the step; where that one answered, a cheaper one is asked in its shadow and compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.scope import UPKEEP
from orchestrator.ledger.lessons import Lesson
from orchestrator.models.protocol import ModelCallError
from orchestrator.policy.records import AuditSettings
from orchestrator.routing.learning.observation import SHADOW, Observation, Outcome
from orchestrator.runtime.asking.actions import Action
from orchestrator.runtime.asking.errand import Errand, obtain
from orchestrator.runtime.asking.judging import Judged, judge
from orchestrator.runtime.choice.worth import observed, says_same
from orchestrator.runtime.run.beside import close_beside, open_beside
from orchestrator.runtime.run.request import digest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.spending.booking import AttemptRefused

AFTER_DRIFT = 5
"""How many times as often replies are drawn once an alarm of drift was raised."""


@dataclass(eq=False, slots=True)
class Audit:
    """One reply to be compared with another model's.

    Attributes:
        errand: The ask that the reply answered.
        taken: The reply.
        seen: What was noted of it.
        other: Who is asked the same.
        is_shadow: Whether it is the other's reply that is judged by this one.
        settings: The policy's.
    """

    errand: Errand
    taken: Judged
    seen: Observation
    other: Action
    is_shadow: bool
    settings: AuditSettings
    _run: TaskRun | None = None
    _stopped: bool = False

    @property
    def name(self) -> str:
        """The agent, whose budget it is, and the model, which may not answer."""
        return f"{self.errand.run.scope.identity('agent')} audit {self.other.settings.name}"

    async def carry_out(self) -> bool:
        """Ask, compare, and note what came of it; whether the model and the budgets allowed it."""
        try:
            return await self._as_task()
        except (LedgerUnavailable, Fenced):
            return False

    def stop(self) -> None:
        """End it, on the wire too."""
        self._stopped = True
        if self._run is not None:
            detail = "The orchestrator was closed; nothing waits for an audit."
            self._run.latch(Halt(reason="cancelled", scope="task", detail=detail))
            self._run.cut()

    async def _as_task(self) -> bool:
        asker, request = self.errand.run, self.errand.request._replace(check=None, finish=False)
        run = self._run = await open_beside(asker, "audit", self.settings.budget, owner="routing")
        if self._stopped:
            self.stop()
        place = run.places.outside
        beside = Errand(run, request, place, place.key(request.step, request.digest))
        error: AttemptRefused | Halted | ModelCallError | None = None
        try:
            paid = await obtain(beside, self.other, kind="audit")
            judged = await judge(beside, paid)
            self._note(run, judged, beside)
        except (AttemptRefused, Halted, ModelCallError) as refused:
            error = refused
        await close_beside(run, error)
        return error is None

    def _note(self, run: TaskRun, other: Judged, beside: Errand) -> None:
        """What the comparison says; an incomplete or failing reference says nothing."""
        lessons, subject = [], self.seen.attempt_id
        if self.is_shadow:
            seen = observed(
                self.seen, other, self.other.name, self.errand.request, ask=f"{SHADOW}{subject}"
            )
            subject = seen.attempt_id
            seen = replace(
                seen,
                taken=False,
                agrees=None,
                cost=float(beside.cost.usd),
                seconds=beside.seconds,
                saved=0.0,
                warm=False,
            )
            lessons.append(self._lesson(run, "observation", subject, seen))
        elif not other.verdict.accepted:
            return
        score = float(says_same(self.taken.paid.completion, other.paid.completion))
        outcome = Outcome(attempt_id=subject, score=score, source="audit")
        run.ledger.note([*lessons, self._lesson(run, "outcome", subject, outcome)])
        run.services.learner.taught(run.scope.tenant)

    def _lesson(self, run: TaskRun, kind: str, subject: str, fact: Observation | Outcome) -> Lesson:
        return Lesson(
            tenant=run.scope.tenant,
            kind="observation" if kind == "observation" else "outcome",
            # What came of a reply is told of the task that it answered.
            task_id=(run if self.is_shadow else self.errand.run).scope.task_id,
            step=self.errand.request.step,
            subject=subject,
            body=fact.body(),
            words=fact.words if isinstance(fact, Observation) else {},
            at=run.clock.now(),
        )


def is_drawn(task_id: str, key: str, rate: float) -> bool:
    """Whether an ask is drawn: fair, and the same whenever it is asked about."""
    number = int.from_bytes(sha256(f"audit {task_id} {key}".encode()).digest()[:8])
    return number < rate * 2**64


def draw(
    errand: Errand,
    taken: Judged,
    seen: Observation,
    candidates: Sequence[Action],
    *,
    is_drifted: bool,
) -> Audit | None:
    """Decide by lot whether a reply is compared with another model's, and with whose.

    Args:
        errand: The ask that it answered.
        taken: The reply.
        seen: What was noted of it.
        candidates: Whom the step may ask, the dearest last.
        is_drifted: Whether an alarm of drift was raised, and more is to be known.

    Returns:
        The audit, which notes how probable it was; ``None``: not drawn, or nobody else to ask.
    """
    run, settings = errand.run, errand.run.policy.audits
    others = [one for one in candidates if one.settings.name != taken.paid.model]
    if settings is None or UPKEEP in run.scope.tags or not others:
        return None
    rate = min(1.0, settings.rate * (AFTER_DRIFT if is_drifted else 1))
    if not is_drawn(run.scope.task_id, errand.key, rate):
        return None
    seen = replace(seen, audited=True, propensity=rate)
    is_shadow = candidates[-1].settings.name == taken.paid.model
    other = others[_any_of(errand, len(others)) if is_shadow else -1]
    return Audit(errand, taken, seen, other, is_shadow, settings)


def _any_of(errand: Errand, count: int) -> int:
    """One of several, all as likely."""
    return int(digest([errand.run.scope.task_id, errand.key])[:8], 16) % count
