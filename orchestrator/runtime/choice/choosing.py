"""Who is asked next for one ask, how far its reply is trusted, and the record of why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from orchestrator.core.events import ThresholdUnreached
from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.ledger.lessons import Lesson, LessonKind
from orchestrator.routing.cascade import InHand
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Asked, Observation, StepKey
from orchestrator.routing.learning.outlook import (
    Outlook,
    Quoted,
    Time,
    guesses,
    next_action,
    only_action,
    outlooks,
)
from orchestrator.routing.verdict import best, calibrated, with_evidence
from orchestrator.runtime.asking.actions import Action, actions
from orchestrator.runtime.asking.errand import Errand
from orchestrator.runtime.asking.judging import Judged
from orchestrator.runtime.choice.audits import Audit, draw
from orchestrator.runtime.choice.foresight import Ahead, ahead_of
from orchestrator.runtime.choice.stages import late_halt, stage_of
from orchestrator.runtime.choice.whole_cost import Quotes
from orchestrator.runtime.choice.worth import as_concluded, asked_of, observed, told_by_person
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.spending.booking import AttemptRefused


@dataclass
class Chooser:
    """The choices of one ask. What nobody comes to need is not worked out: most asks of a memo.

    Attributes:
        errand: The ask.
        key: Its step, as it is now.
        knowledge: What its tenant's log teaches.
        threshold: The confidence that the step asks for.
        replies: What was judged so far, by attempt.
        stages: What was chosen so far, and why.
        late: The halt if nobody is left who can answer in the time that is left.
    """

    errand: Errand
    key: StepKey
    knowledge: Knowledge
    threshold: float | None
    replies: dict[str, tuple[Judged, Observation]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    late: Halt | None = None
    _counted: Money = Money.ZERO
    _counted_s: float = 0.0
    _failed: list[Observation] = field(default_factory=list)
    _tried: set[str] = field(default_factory=set)
    _below: Money | None = None
    _ahead: Ahead | None = None

    @classmethod
    def of(cls, errand: Errand, knowledge: Knowledge) -> Chooser:
        """Choose by what is known."""
        run, request = errand.run, errand.request
        return cls(
            errand=errand,
            key=step_key(run, request),
            knowledge=knowledge,
            threshold=run.policy.steps[request.step].confidence,
        )

    @cached_property
    def candidates(self) -> tuple[Action, ...]:
        """What may be asked, cheapest expected cost first."""
        return actions(self.errand.run, self.errand.request)

    @cached_property
    def quotes(self) -> Quotes:
        """What they are expected to take."""
        return Quotes(self.errand)

    @cached_property
    def asked(self) -> Asked | None:
        """What is known of the prompt before any reply; ``None``: it is secret, or no text."""
        return asked_of(self.errand.run, self.errand.request)

    @cached_property
    def guessed(self) -> dict[str, float]:
        """What is believed of each candidate without any outcome."""
        return guesses([_priced(action) for action in self.candidates])

    def weigh(self, judged: Judged) -> Judged:
        """Hold a reply's calibrated confidence against the threshold, once there is one."""
        step = self.knowledge.step(self.key)
        step.lapse(self.errand.run.clock.now())
        seen = self._observation(judged)
        confidence = step.confidence(seen)
        if confidence is not None:
            verdict = calibrated(judged.verdict, confidence, step.state, self.threshold)
            if verdict.failed:
                likely = self.knowledge.despite(self.key, seen.action, seen.guess)
                verdict = replace(verdict, likelihood=likely)  # it may still be the best there is
            judged = judged.weighed(verdict)
        elif not judged.paid.from_memo:
            prior = self.knowledge.quality(self.key, seen.action, seen.guess).mean
            records = self.knowledge.checks.records(self.key.step, seen.checks)
            judged = judged.weighed(with_evidence(judged.verdict, prior, records))
        if not judged.paid.from_memo:
            seen = replace(
                seen,
                confidence=judged.verdict.confidence,
                state=judged.verdict.confidence_state,
            )
            self.replies[judged.paid.attempt_id] = judged, seen
        return judged

    async def look_ahead(self) -> None:
        """See what likely follows this ask, where something limits it and there is a choice."""
        if len(self.candidates) > 1:
            self._ahead = await ahead_of(self.errand, self.knowledge)

    def next(self, judged: Sequence[Judged]) -> Action | None:
        """Whom to ask next; ``None``: nobody who could help is left."""
        answered = {one.paid.model for one in judged}
        open_to = [
            one
            for one in self.candidates
            if one.settings.name not in answered and one.settings.name not in self._tried
        ]
        affordable = [one for one in open_to if self._fits(one)] or open_to
        if self.errand.economizes:
            affordable = [] if judged else affordable[:1]
        if not affordable:
            return None
        # Of several ways to one action the cheapest: nothing that is learned tells them apart.
        ways: dict[str, Action] = {}
        for one in affordable:
            ways.setdefault(one.name, one)
        affordable = list(ways.values())
        step, left_s = self.knowledge.step(self.key), self.errand.run.deadline.remaining_s
        known = self._outlooks(affordable, left_s)
        expected = [one for one in known if one.least_s <= left_s]
        if not expected:
            self.late = late_halt(self.errand.run, self.key.step, known)
            return None
        if self.errand.on_text is not None:
            held = self.threshold if step.fitted is not None else None
            decision = only_action(expected, held)
        else:
            below = self.errand.run.policy.steps[self.errand.request.step].below_threshold
            in_hand = _in_hand(judged)
            decision = next_action(expected, in_hand, self.threshold, below, drifted=step.drifted)
        picked = decision.action if decision.verdict == "run" else None
        plan: dict[str, Any] | None = None
        bounds = {one.name: one.bound_within(self._left()) for one in affordable}
        if picked is not None and self._ahead is not None:
            usd = {name: float(bound.usd) for name, bound in bounds.items()}
            picked, plan = self._ahead.heed(picked, expected, usd, self._settles_for(judged))
        self._note_stage(known, bounds, picked)
        self.stages[-1] |= {} if plan is None else {"plan": plan}
        # With these the decision can be made once more from the log alone.
        self.stages[-1] |= {"read_to": self.knowledge.read_to, "fitted_to": step.fitted_to}
        self._report_hopeless()
        if picked is None:
            return None
        chosen = ways[picked]
        self.errand.needs_s = next(one.least_s for one in expected if one.action == picked)
        self._tried.add(chosen.settings.name)
        self.quotes.chosen(chosen)
        return chosen

    def failed(self, action: Action) -> None:
        """Note what asking in vain cost: it is the cost of asking that action, not the next one."""
        cost, seconds = self._taken_since()
        if not cost:
            return
        self._failed.append(
            replace(
                self._blank(action.name, float(cost.usd)),
                attempt_id=self.errand.last_id,
                ask=self._ask,
                seconds=seconds,
                taken=False,
                replied=False,
            )
        )

    def _outlooks(self, among: Sequence[Action], left_s: float) -> list[Outlook]:
        settings = self.errand.run.policy.steps[self.errand.request.step]
        quoted = [self.quotes.of(one, self.candidates[-1]) for one in among]
        time = Time(left_s, float(settings.latency_price))
        fitted = self.knowledge.step(self.key).fitted
        asked = None if fitted is None or fitted.before is None else self.asked
        return outlooks(self.knowledge, self.key, quoted, self.threshold, time, asked=asked)

    def _settles_for(self, judged: Sequence[Judged]) -> float | None:
        """The worth of the reply that answers if nobody more is asked; ``None``: none does."""
        if not judged or (
            self.errand.run.policy.steps[self.errand.request.step].below_threshold != "best"
        ):
            return None
        verdict = judged[best([one.verdict for one in judged])].verdict
        return verdict.likelihood or verdict.confidence or 0.0

    def was_late(self, why: AttemptRefused) -> bool:
        """Whether the wait for a place or for money left one model too little time: not all."""
        run = self.errand.run
        if why.halt.reason != "timeout" or run.halt is not None or not run.deadline.remaining_s:
            return False
        self.late = why.halt
        return True

    def can_do_cheaper(self, why: AttemptRefused) -> bool:
        """Whether somebody is left who may fit a budget that refused whom it asked last.

        A budget that other tasks share is only judged by reserving on it.
        """
        if why.need is None:
            return False
        self._below = why.need
        return any(
            one.settings.name not in self._tried and one.least < why.need for one in self.candidates
        )

    def conclude(self, taken: Judged | None) -> None:
        """Note what was seen and chosen, to learn from and to explain; ``None``: nothing taken."""
        run, request = self.errand.run, self.errand.request
        audit = self._draw(taken)
        concluded = [as_concluded(one, seen, taken) for one, seen in self.replies.values()]
        noted = [*self._failed, *concluded]
        lessons = [
            replace(self._lesson("observation", one.attempt_id, one.body()), words=one.words)
            for one in noted
        ]
        if taken is not None and self.errand.key in run.answers:
            told = told_by_person(concluded)
            lessons += [self._lesson("outcome", one.attempt_id, one.body()) for one in told]
        if self.stages:
            step = self.knowledge.step(self.key)
            body = {
                "state": step.state,
                "labels": len(step.labels),
                "drifted": step.drifted,
                "threshold": self.threshold,
                "below": run.policy.steps[request.step].below_threshold,
                "stages": self.stages,
                "likelihoods": {
                    one.paid.model: round(one.verdict.likelihood, 4)
                    for one, _ in self.replies.values()
                    if one.verdict.likelihood is not None
                },
                "taken": None if taken is None else taken.paid.model,
            }
            lessons.append(self._lesson("choice", self.errand.key, body))
        if lessons:
            run.ledger.note(lessons)
        if audit is not None:
            run.services.background.begin(audit)

    def _draw(self, taken: Judged | None) -> Audit | None:
        """Decide by lot, before its outcome is seen, whether a reply is compared with another's."""
        if taken is None or (known := self.replies.get(taken.paid.attempt_id)) is None:
            return None
        judged, seen = known
        is_drifted = self.knowledge.step(self.key).drifted
        audit = draw(self.errand, taken, seen, self.candidates, is_drifted=is_drifted)
        if audit is not None:
            self.replies[seen.attempt_id] = judged, audit.seen
        return audit

    def _lesson(self, kind: LessonKind, subject: str, body: dict[str, Any]) -> Lesson:
        scope = self.errand.run.scope
        return Lesson(
            tenant=scope.tenant,
            kind=kind,
            task_id=scope.task_id,
            step=self.errand.request.step,
            subject=subject,
            body=body,
            at=self.errand.run.clock.now(),
        )

    def _fits(self, action: Action) -> bool:
        """Whether the worst case of an action is within what the task still has."""
        if self._below is not None and action.least >= self._below:
            return False
        left = self._left()
        return left is None or action.least <= left

    def _left(self) -> Money | None:
        return None if self.errand.request.finish else self.errand.run.money_left()

    def _taken_since(self) -> tuple[Money, float]:
        """What was paid and waited since this was asked last: all that one model brought about."""
        cost, seconds = self.errand.cost - self._counted, self.errand.seconds - self._counted_s
        self._counted, self._counted_s = self.errand.cost, self.errand.seconds
        return cost, seconds

    @property
    def _ask(self) -> str:
        return f"{self.errand.run.scope.task_id} {self.errand.key}"

    def _blank(self, action: str, cost: float) -> Observation:
        return Observation(
            attempt_id="",
            ask="",
            agent=self.key.agent,
            step=self.key.step,
            version=self.key.version,
            action=action,
            passed=False,
            threshold=self.threshold,
            guess=self.guessed.get(action, 0.5),
            cost=cost,
        )

    def _observation(self, judged: Judged) -> Observation:
        paid = judged.paid
        action = next((one for one in self.candidates if one.settings.name == paid.model), None)
        name = paid.model if action is None else action.name
        since, seconds = self._taken_since()
        cost = max(paid.cost, since)
        words = {} if self.asked is None else self.asked.words
        blank = replace(self._blank(name, float(cost.usd)), seconds=seconds, words=words)
        if action is not None and not paid.from_memo:
            saved = self.quotes.answered(action, paid, cost)
            blank = replace(blank, saved=float(saved.usd), warm=self.quotes.was_warm(action))
        return observed(blank, judged, name, self.errand.request, ask=self._ask)

    def _note_stage(
        self, expected: Sequence[Outlook], bounds: Mapping[str, Money], chosen: str | None
    ) -> None:
        run = self.errand.run
        self.stages.append(
            stage_of(
                expected,
                bounds,
                chosen,
                money_left=run.money_left(),
                seconds_left=run.deadline.remaining_s,
                too_dear=[
                    one.settings.name
                    for one in self.candidates
                    if one.name not in bounds and one.settings.name not in self._tried
                ],
            )
        )

    def _report_hopeless(self) -> None:
        run, step = self.errand.run, self.knowledge.step(self.key)
        if self.threshold is None or not step.hopeless(one.name for one in self.candidates):
            return
        if run.services.learner.is_news(run.scope.tenant, self.key, self.threshold):
            run.emit(
                ThresholdUnreached(
                    at=run.clock.now(),
                    scope=run.scope,
                    step=self.key.step,
                    threshold=self.threshold,
                    models=tuple(one.settings.name for one in self.candidates),
                )
            )


def step_key(run: TaskRun, request: AskRequest) -> StepKey:
    """The step of an ask, as it is now."""
    return StepKey(
        run.scope.agent, request.step, request.version(run.policy.version_of(request.step))
    )


def _priced(action: Action) -> Quoted:
    cost = None if action.expected is None else float(action.expected.usd)
    return Quoted(action=action.name, name=action.settings.name, cost=cost)


def _in_hand(judged: Sequence[Judged]) -> InHand | None:
    if not judged:
        return None
    best = max(judged, key=_worth)
    return InHand(best.paid.model, _worth(best), 0.0)


def _worth(judged: Judged) -> float:
    verdict = judged.verdict
    if not verdict.failed:
        return verdict.confidence or 0.0
    is_learned = verdict.confidence_state != "uncalibrated"
    return verdict.likelihood or 0.0 if is_learned else 0.0
