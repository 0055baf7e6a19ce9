"""What a tenant's log teaches: folded from observations and outcomes, in the order of the log.

Nothing of it is stored. A process that starts, and another that runs beside, fold the same log and
believe the same; and what one tenant's log says moves nobody else. Folding only notes what is to be
fitted; `Knowledge.settle` does it, once for all that was folded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from orchestrator.routing.estimate.counts import Estimate, Ladder
from orchestrator.routing.estimate.evidence import CheckBook, posterior
from orchestrator.routing.learning.observation import Observation, Outcome, StepKey
from orchestrator.routing.learning.step import StepKnowledge, is_kept_out
from orchestrator.routing.learning.trust import SIGNS, WHOLE, Told, is_whole, said_by_checks

MOST_OBSERVATIONS = 10_000
"""Observations of one tenant that are remembered, the newest."""
_PASS_GUESS = 0.9


@dataclass(slots=True)
class Knowledge:
    """What one tenant's log teaches.

    Attributes:
        steps: What is known of each step.
        newest: Of each agent's step, the version that was asked last.
        good: How often replies that passed were right, by scope.
        apart: The same of replies that are kept out of every fit.
        signs: How often signs would have it so: where outcomes are few, they are drawn to it.
        failing: How often replies that failed their checks were right all the same, by scope.
        passing: How often replies passed, by scope.
        observations: The newest, by attempt.
        told: What was said of them, by attempt.
        checks: What the checks turned out to be worth.
        read_to: The number of the newest lesson that was taken in, where lessons have one.
    """

    steps: dict[StepKey, StepKnowledge] = field(default_factory=dict)
    newest: dict[tuple[str, str], StepKey] = field(default_factory=dict)
    good: Ladder = field(default_factory=Ladder)
    apart: Ladder = field(default_factory=Ladder)
    signs: Ladder = field(default_factory=Ladder)
    failing: Ladder = field(default_factory=Ladder)
    passing: Ladder = field(default_factory=lambda: Ladder(guess=_PASS_GUESS))
    observations: dict[str, Observation] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    checks: CheckBook = field(default_factory=CheckBook)
    read_to: int = 0
    _asks: dict[str, list[str]] = field(default_factory=dict)

    def step(self, key: StepKey) -> StepKnowledge:
        """What is known of a step; nothing at first."""
        found = self.steps.get(key)
        if found is None:
            found = self.steps[key] = StepKnowledge(key)
        return found

    def fold(self, fact: Observation | Outcome) -> None:
        """Take in the next fact of the log."""
        if isinstance(fact, Observation):
            self._observe(fact)
        else:
            self._learn(fact)

    def settle(self) -> None:
        """Work out what is due, as whoever only reads a log does; else see `StepKnowledge.work`."""
        for step in self.steps.values():
            if (work := step.work()) is not None:
                step.adopt(work, work.carry_out())

    def pass_rate(self, key: StepKey, action: str) -> Estimate:
        """How often an action's replies pass their checks."""
        return self.passing.estimate(key.path, action)

    def quality(self, key: StepKey, action: str, guess: float) -> Estimate:
        """How often an action's replies are right, of those that pass.

        Args:
            key: The step.
            action: The action.
            guess: What is believed of it without any outcome.
        """
        signs = self.signs.estimate(key.path, action, guess)
        return self.good.estimate(key.path, action, signs.mean, beside=self.apart)

    def despite(self, key: StepKey, action: str, guess: float) -> float:
        """How likely a reply of an action is right that failed its checks.

        A check may ask for what a model does not do though it is right: outcomes tell.

        Args:
            key: The step.
            action: The action.
            guess: What is believed of it without any outcome.
        """
        doubted = posterior(guess, [("", False)], {})
        return self.failing.estimate(key.path, action, doubted).mean

    def overall(self, key: StepKey, action: str, guess: float) -> float:
        """How likely an action's next reply is right, whether or not it passes its checks."""
        passes = self.pass_rate(key, action).mean
        good, despite = self.quality(key, action, guess).mean, self.despite(key, action, guess)
        return passes * good + (1 - passes) * despite

    def _observe(self, reply: Observation) -> None:
        is_known = reply.attempt_id in self.observations
        self.observations[reply.attempt_id] = reply
        if is_known:
            return  # noted again: its ask was resumed
        key = reply.key
        if not reply.is_shadow:
            self.newest[key.agent, key.step] = key
        self.passing.observe(key.path, reply.action, float(reply.passed))
        if not reply.replied:
            self.failing.observe(key.path, reply.action, 0.0)
        self.step(key).observe(reply)
        self._asks.setdefault(reply.ask, []).append(reply.attempt_id)
        while len(self.observations) > MOST_OBSERVATIONS:
            oldest = self.observations.pop(next(iter(self.observations)))
            self._asks.pop(oldest.ask, None)
            self.told.pop(oldest.attempt_id, None)
        if (said := said_by_checks(reply)) is not None:
            self._hear(reply, said.source, said)
            self.step(key).fit(partial(self._guess, key))

    def _learn(self, outcome: Outcome) -> None:
        reply = self.observations.get(outcome.attempt_id)
        if reply is None:
            return
        step = self.step(reply.key)
        if outcome.source == "audit":
            step.audit(reply, outcome.score)
        self._hear(reply, outcome.source, outcome)
        lesson = self.told[reply.attempt_id].lesson
        # What is kept out of every fit does not come in by another reply to the same ask.
        follows = reply.taken and not is_kept_out(reply)
        for other_id in self._asks.get(reply.ask, ()) if follows else ():
            other = self.observations.get(other_id)
            if other is not None and other.agrees is not None:
                self._hear(other, f"as {reply.attempt_id}", _following(lesson, other))
        step.fit(partial(self._guess, reply.key))
        step.look(outcome.at)

    def _guess(self, key: StepKey, action: str, guess: float) -> float:
        """What a fit believes of an action without outcomes: `quality` less what is kept out."""
        signs = self.signs.estimate(key.path, action, guess)
        return self.good.estimate(key.path, action, signs.mean).mean

    def _hear(self, reply: Observation, source: str, said: Outcome | None) -> None:
        """Take in a word on a reply; if another outcome counts now, it replaces the former."""
        told = self.told.setdefault(reply.attempt_id, Told())
        before = told.lesson
        told.hear(source, said)
        lesson, evidence = told.lesson, told.evidence(reply)
        for times, rows in ((-1, told.recorded), (1, evidence)):
            for name, passed, good in rows:
                self.checks.observe(reply.step, name, passed=passed, good=good, times=times)
        told.recorded = evidence
        if lesson == before:
            return
        if lesson is not None and lesson.source in SIGNS:
            # A sign says less than the check that failed; and averages of signs enter fits.
            lesson = None if is_kept_out(reply) or not reply.passed else lesson
        self._enter(reply, lesson, told)
        if not reply.passed:
            return
        if lesson is not None and is_whole(lesson):
            self.step(reply.key).label(reply, lesson.score)
        elif is_whole(before):
            self.step(reply.key).unlabel(reply)

    def _enter(self, reply: Observation, lesson: Outcome | None, told: Told) -> None:
        """Have the averages count an outcome, once, in the place of what counted before."""
        good = self.apart if is_kept_out(reply) else self.good
        ladder = good if reply.passed else self.failing
        score = 0.0 if lesson is None else lesson.score
        if lesson is not None and lesson.source in SIGNS:
            # By outcomes alone: a sign that begins where signs have led proves itself.
            prior = self.good.estimate(reply.key.path, reply.action, reply.guess).mean
            records = self.checks.records(reply.step, [lesson.source])
            ladder = self.signs
            score = posterior(prior, [(lesson.source, score >= WHOLE)], records)
        if told.entered is not None:
            before, entry = told.entered
            if lesson is not None and before is ladder:
                told.entered = ladder, ladder.revise(entry, score, lesson.weight)
                return
            before.revise(entry, 0.0, 0.0)
            told.entered = None
        if lesson is not None:
            path, action = reply.key.path, reply.action
            told.entered = ladder, ladder.observe(path, action, score, lesson.weight)


def _following(lesson: Outcome | None, other: Observation) -> Outcome | None:
    """What the outcome of the reply that was taken says of another one to the same ask.

    Who says the same as a right reply is right; who says something else than a wrong one may be
    either. A sign of the one is none of the other, and a test was run on each.
    """
    if lesson is None or lesson.source in {*SIGNS, "check"}:
        return None
    right = lesson.score >= WHOLE
    if not (right or other.agrees):
        return None
    return replace(lesson, attempt_id=other.attempt_id, score=float(right and bool(other.agrees)))
