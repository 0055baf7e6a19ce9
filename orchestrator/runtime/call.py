"""The one path of every model call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from orchestrator.core.errors import ModelRejected
from orchestrator.core.events import StepDecided
from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.ledger.records import Decision
from orchestrator.memo.readings import note_replay
from orchestrator.models.protocol import ModelCallError
from orchestrator.routing.halts import confidence_halt
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.verdict import best
from orchestrator.runtime.asking import renewals
from orchestrator.runtime.asking.errand import Errand, OnText, join_earlier, obtain, stop_if_halted
from orchestrator.runtime.asking.judging import Judged, judge
from orchestrator.runtime.asking.memory import Memory
from orchestrator.runtime.asking.questions import answered, ask_person, book_answer
from orchestrator.runtime.choice.choosing import Chooser, step_key
from orchestrator.runtime.run.patience import patiently
from orchestrator.runtime.run.places import Place
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.results import Reply
from orchestrator.runtime.run.task_run import HARD_STOPS, TaskRun
from orchestrator.runtime.spending.booking import AttemptRefused
from orchestrator.runtime.spending.likelihood import judge_start
from orchestrator.runtime.spending.thresholds import heed
from orchestrator.runtime.storage.journal import JournaledReply


@dataclass(slots=True)
class Asking(Errand):
    """One ask on its way, with what it has of the memo, and who chooses for it."""

    memory: Memory = field(kw_only=True)
    knowledge: Knowledge = field(kw_only=True)
    _chooser: Chooser | None = None

    @property
    def chooser(self) -> Chooser:
        """Who chooses, and weighs what comes of it; made when it is needed: not for most hits."""
        if self._chooser is None:
            self._chooser = Chooser.of(self, self.knowledge)
        return self._chooser

    async def weigh(self, paid: JournaledReply) -> Judged:
        """Check a reply, and weigh what the checks say by what they were worth so far."""
        judged = await judge(self, paid)
        if paid.from_memo and self.knowledge.step(step_key(self.run, self.request)).fitted is None:
            return judged  # nothing is known of it, and nothing is learned from it
        return self.chooser.weigh(judged)

    def conclude(self, taken: Judged | None) -> None:
        """Note what was seen and chosen, if anything was."""
        if self._chooser is not None:
            self._chooser.conclude(taken)


async def call(
    run: TaskRun, request: AskRequest, place: Place, *, on_text: OnText | None = None
) -> Reply:
    """Answer one ask; the order of a call reads from top to bottom.

    Raises:
        Halted: If it cannot be answered within the task's money, time and limits.
        ModelRejected: If every candidate rejected the request itself.
        ModelCallError: If a stream broke off after its first piece.
    """
    key = place.key(request.step, request.digest)
    if known := run.journal.decided(key):
        return _replayed(run, request, *known)
    if key in run.journal.in_flight:
        await join_earlier(run, key)
    learner, tenant = run.services.learner, run.scope.tenant
    knowledge = learner.present(tenant, run)
    if knowledge is None:
        knowledge = await patiently(run, partial(learner.knowledge, tenant, run), place=place)
    asking = Asking(
        run,
        request,
        place,
        key,
        on_text,
        memory=Memory(run, request, place, key),
        knowledge=knowledge,
    )
    judged = [await asking.weigh(paid) for paid in run.journal.replies.get(key, ())]
    if judged:
        note_replay()
    for one in judged:
        if one.verdict.accepted or on_text is not None:
            return _decide(asking, one)
    if judged and key in run.answers:
        return _decide(asking, answered(asking, judged, run.answers[key]))
    with asking.memory as memory:
        remembered = await _recalled(asking, memory.recall)
        if remembered is not None:
            reply = _decide(asking, remembered)
            renewals.begin(memory, _ask_anew)
            return reply
        chosen = await _ask_models(asking, judged)
        reply = _decide(asking, chosen)
        await memory.keep(chosen, reply.cost or chosen.paid.cost)
    return reply


async def _recalled(
    asking: Asking, recall: Callable[[], Awaitable[JournaledReply | None]]
) -> Judged | None:
    """What the memo remembers, if it passes the checks of this ask too.

    What they refuse is not what ``recall`` gives next: another entry, or the duty to ask.
    """
    run, request = asking.run, asking.request
    while (remembered := await recall()) is not None:
        judged = await asking.weigh(remembered)
        if judged.verdict.accepted:
            if halt := run.gauge.before_hit(request.step, request.digest, asking.key):
                raise run.refuse(halt, asking.place)
            return judged
    return None


async def _ask_anew(run: TaskRun, request: AskRequest) -> tuple[Judged, Money]:
    """Ask the models for the memo's own sake, in a run of its own; the reply and its cost."""
    place = run.places.outside
    key = place.key(request.step, request.digest)
    asking = Asking(
        run,
        request,
        place,
        key,
        memory=Memory(run, request, place, key),
        knowledge=await run.services.learner.knowledge(run.scope.tenant, run),
    )
    return await _ask_models(asking, []), asking.cost


async def _ask_models(asking: Asking, judged: list[Judged]) -> Judged:
    """Ask one candidate after the other until a reply is accepted, or none could help."""
    run, place = asking.run, asking.place
    failures: list[ModelCallError] = []
    asking.logprobs = run.policy.steps[asking.request.step].logprobs is not None
    await judge_start(run, asking.request, place)
    await asking.chooser.look_ahead()
    asking.economizes = await heed(run, place, asking.request.step)
    while (action := asking.chooser.next(judged)) is not None:
        stop_if_halted(asking)
        try:
            paid = await obtain(asking, action, kind="escalation" if judged else "ask")
        except AttemptRefused as refused:
            asking.chooser.failed(action)  # it may have been asked before the refusal
            if asking.chooser.was_late(refused):
                continue
            if judged and run.halt is None and refused.halt.reason not in HARD_STOPS:
                break  # an escalation the money does not allow follows below_threshold
            if not judged and run.halt is None and asking.chooser.can_do_cheaper(refused):
                continue
            raise run.refuse(refused.halt, place) from None
        except ModelCallError as error:
            if asking.shown:
                raise
            failures.append(error)
            asking.chooser.failed(action)
            continue
        judged.append(await asking.weigh(paid))
        if judged[-1].verdict.accepted or asking.on_text is not None:
            return judged[-1]
    if failures and not judged:
        remembered = await _recalled(asking, asking.memory.recall_expired)
        if remembered is not None:
            return remembered
    return _below_threshold(asking, judged, failures)


def _replayed(run: TaskRun, request: AskRequest, paid: JournaledReply, decision: Decision) -> Reply:
    """Give the reply that answered this ask before; it costs nothing and counts for no limit."""
    note_replay()
    _tell(run, decision, paid.model, at=run.clock.now(), replayed=True)
    return Judged.replay(request, paid, decision).reply


def _decide(asking: Asking, judged: Judged) -> Reply:
    """Take a reply, and note why."""
    run, verdict = asking.run, judged.verdict
    decision = Decision(
        task_id=run.scope.task_id,
        key=asking.key,
        step=asking.request.step,
        attempt_id=judged.paid.attempt_id,
        accepted=verdict.accepted,
        confidence=verdict.confidence,
        confidence_state=verdict.confidence_state,
        checks=verdict.passed,
        at=run.clock.now(),
    )
    run.journal.decisions[asking.key] = decision
    if judged.paid.from_memo:
        asking.memory.book(judged, decision)
    elif judged.paid.from_person:
        book_answer(asking, judged.paid, decision)
    else:
        run.ledger.decide(decision)
    asking.conclude(judged)
    _tell(run, decision, judged.paid.model, at=decision.at)
    return judged.reply_for(asking.cost)


def _tell(
    run: TaskRun, decision: Decision, model: str, *, at: datetime, replayed: bool = False
) -> None:
    if run.services.is_heard:
        run.emit(
            StepDecided(
                at=at,
                scope=run.scope,
                step=decision.step,
                model=model,
                accepted=decision.accepted,
                confidence=decision.confidence,
                confidence_state=decision.confidence_state,
                replayed=replayed,
                checks=decision.checks,
            )
        )


def _below_threshold(
    asking: Asking, judged: Sequence[Judged], failures: Sequence[ModelCallError]
) -> Judged:
    """No candidate was accepted: the best reply, a halt, or what made them all fail."""
    run, step = asking.run, asking.request.step
    settings = run.policy.steps[step]
    if judged:
        chosen = judged[best([one.verdict for one in judged])]
        if settings.below_threshold == "best":
            return chosen
        if settings.below_threshold == "ask":
            raise ask_person(asking, chosen)
        asking.conclude(None)
        halt = confidence_halt(
            chosen.verdict,
            step=step,
            model=chosen.paid.model,
            threshold=settings.confidence,
        )
        raise run.refuse(halt, asking.place)
    if failures and all(one.is_about_request for one in failures):
        message = f"Every model of step {step!r} rejected the request: {failures[-1]}"
        raise ModelRejected(message) from failures[-1]
    reasons = "; ".join(str(one) for one in failures) or "no candidate may be asked now"
    halt = asking.chooser.late or Halt(
        reason="no_model",
        scope="task",
        step=step,
        detail=f"No model of step {step!r} answered: {reasons}. Resume when one does.",
    )
    raise run.refuse(halt, asking.place)
