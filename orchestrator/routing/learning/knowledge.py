"""What a tenant's log teaches: folded from observations and outcomes, in the order of the log.

Nothing of it is stored. A process that starts, and another that runs beside, fold the same log and
believe the same; and what one tenant's log says moves nobody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from orchestrator.routing.certificate import CALIBRATED_FROM, Certificate, State, at_most, certify
from orchestrator.routing.drift import DriftAlarm
from orchestrator.routing.estimate.counts import Estimate, Ladder
from orchestrator.routing.learning.fitted import Fitted
from orchestrator.routing.learning.observation import Observation, Outcome, Source
from orchestrator.routing.learning.record import Record
from orchestrator.routing.learning.refit import NEWEST, refit

MOST_OBSERVATIONS = 10_000
"""Observations of one tenant that are remembered, the newest."""
DELTA = 0.05
"""The probability that a certificate is false, over all times it is looked for."""

CERTIFIED_FOR = timedelta(days=90)
"""How long a certificate is believed: worlds change without telling."""

_RECENT = 300
"""Replies of an action that say how often it will be accepted."""
_GROWTH = 0.5
"""Labels are worth a new fit when there are so much more of them."""
_HALF = 0.5
"""From where on an outcome counts as right, and a weight as that of a whole outcome."""
_PASS_GUESS = 0.9
_FIRST_LOOK, _LOOK_GROWTH = 30, 1.5
"""Audits with which a certificate is first looked for, and how many times more each time after."""


@dataclass(frozen=True, slots=True)
class StepKey:
    """A step of one agent, as it is now: change its models, checks or policy and it is another."""

    agent: str
    step: str
    version: str

    @property
    def path(self) -> tuple[str, ...]:
        """From the widest scope to the narrowest: steps of that name, this agent's, this one."""
        return self.step, self.agent, self.version


@dataclass(slots=True)
class StepKnowledge:
    """What is known of one step.

    Attributes:
        key: Which.
        threshold: The confidence it asked for when it was last used; `None`: none.
        labels: Outcomes of replies that passed their checks, by attempt, since the last drift.
        audits: Of those, what was drawn at random and kept out of every fit.
        fitted: From a reply to its confidence; `None`: too few labels.
        recent: Per action, its newest replies with their confidence now; -1: it did not pass.
        alarm: Watches the promise among accepted replies; `None`: nothing is promised.
        drifted: Whether the alarm was raised and too little was learned since.
        certificate: The newest, if the promise was shown to hold.
        looks: How often a certificate was looked for.
    """

    key: StepKey
    threshold: float | None = None
    labels: dict[str, tuple[Observation, float]] = field(default_factory=dict)
    audits: dict[str, tuple[Observation, float]] = field(default_factory=dict)
    fitted: Fitted | None = None
    recent: dict[str, deque[tuple[Observation, float]]] = field(default_factory=dict)
    alarm: DriftAlarm | None = None
    drifted: bool = False
    certificate: Certificate | None = None
    looks: int = 0
    _summed: dict[tuple[str, float | None], tuple[float, float, float]] = field(
        default_factory=dict
    )
    _records: dict[str, Record] = field(default_factory=dict)
    _fit_at: int = CALIBRATED_FROM
    _look_at: int = _FIRST_LOOK

    @property
    def state(self) -> State:
        """What a confidence is worth."""
        if self.fitted is None:
            return "uncalibrated"
        is_certified = self.certificate is not None and self.certificate.state == "certified"
        return "certified" if is_certified else "calibrated"

    def confidence(self, reply: Observation) -> float | None:
        """The calibrated probability that a reply is acceptable; `None`: not known yet."""
        if self.fitted is None:
            return None
        return self.fitted.confidence(reply) if reply.passed else 0.0

    def observe(self, reply: Observation) -> None:
        """Take in a reply."""
        if reply.threshold != self.threshold:
            # Another threshold is another promise.
            self.threshold, self.alarm, self.certificate = reply.threshold, None, None
            self._watch()
        kept = self.recent.setdefault(reply.action, deque(maxlen=_RECENT))
        kept.append((reply, self._worth(reply)))
        self._records.pop(reply.action, None)
        self._summed.clear()

    def accepts(self, action: str, threshold: float | None) -> tuple[float, float]:
        """How many of an action's newest replies would be accepted now, and how many there are.

        Without a calibration, or a threshold, whatever passes its checks is.
        """
        hits, seen, _ = self._sums(action, threshold)
        return hits, seen

    def cost(self, action: str) -> float | None:
        """What an action's replies cost on average, in USD; `None`: never asked."""
        _, seen, cost = self._sums(action, None)
        return cost / seen if seen else None

    def record(self, action: str) -> Record:
        """What asking an action took; nothing if it was never asked."""
        if action not in self._records:
            self._records[action] = Record.of(reply for reply, _ in self.recent.get(action, ()))
        return self._records[action]

    def label(self, reply: Observation, score: float, source: Source) -> None:
        """Take in the outcome, 0 to 1, of a reply that passed."""
        if reply.audited and reply.taken and _is_kept_out(reply.attempt_id):
            if source != "audit":
                return  # what is kept apart is judged by one measure only
            known = self.audits
        else:
            known = self.labels
        is_new = reply.attempt_id not in known
        known[reply.attempt_id] = (reply, score)
        if not (is_new and reply.taken and self.alarm is not None and self._is_accepted(reply)):
            return
        if self.alarm.observe(wrong=score < _HALF):
            self._begin_anew()

    def fit(self, guesses: Mapping[str, float]) -> None:
        """Fit anew to the labels there are, if they have become many more.

        Args:
            guesses: For every action, what is believed of it without these labels.
        """
        if len(self.labels) < self._fit_at:
            return
        self.fitted = refit(list(self.labels.values())[-NEWEST:], guesses)
        self._fit_at = len(self.labels) + min(round(len(self.labels) * _GROWTH), NEWEST // 2)
        self.drifted = False
        for kept in self.recent.values():
            for place, (reply, _) in enumerate(kept):
                kept[place] = (reply, self._worth(reply))
        # The confidence is another now: what was shown of the former one is void.
        self.certificate, self._look_at = None, _FIRST_LOOK
        self._summed.clear()
        self._watch()

    def lapse(self, now: datetime) -> None:
        """Drop a certificate whose time is over."""
        found = self.certificate
        if found is not None and found.expires is not None and found.expires <= now:
            self.certificate = None

    def look(self, at: datetime | None = None) -> None:
        """See whether the promise can be certified now, if enough audits came in since.

        Args:
            at: When the newest of them did; the certificate's time begins there.
        """
        promised = _promised(self.threshold)
        if self.fitted is None or promised is None or len(self.audits) < self._look_at:
            return
        self.looks += 1
        self._look_at = round(len(self.audits) * _LOOK_GROWTH) + 1
        self.certificate = certify(
            [
                (self.fitted.confidence(reply), score < _HALF)
                for reply, score in self.audits.values()
            ],
            [1 - promised],
            alpha=promised,
            # Each look may err: the errors of all of them add up to DELTA.
            delta=DELTA / (self.looks * (self.looks + 1)),
            loss="the accepted reply says something else than the audit's",
            scope=self.key.version,
            expires=at and at + CERTIFIED_FOR,
        )

    def hopeless(self, actions: Iterable[str]) -> bool:
        """Whether it is known that no action's replies reach the threshold.

        Known means: of each, so many were seen that one in ten would have shown itself.
        """
        if self.fitted is None or self.threshold is None:
            return False
        counts = [self.accepts(action, self.threshold) for action in actions]
        return bool(counts) and all(
            hits == 0 and at_most(0, int(seen), 0.1) <= DELTA for hits, seen in counts
        )

    def _sums(self, action: str, threshold: float | None) -> tuple[float, float, float]:
        """Of an action's newest replies: how many are accepted, how many there are, their cost.

        Summed once until something changes: a choice is made often, and in the way of an agent.
        """
        if (action, threshold) not in self._summed:
            least = 0.0 if self.fitted is None or threshold is None else threshold
            kept = self.recent.get(action, ())
            self._summed[action, threshold] = (
                float(sum(worth >= least for _, worth in kept)),
                float(len(kept)),
                sum(reply.cost for reply, _ in kept),
            )
        return self._summed[action, threshold]

    def _worth(self, reply: Observation) -> float:
        confidence = self.confidence(reply)
        return -1.0 if not reply.passed else 0.0 if confidence is None else confidence

    def _is_accepted(self, reply: Observation) -> bool:
        return self.threshold is not None and self._worth(reply) >= self.threshold

    def _watch(self) -> None:
        promised = _promised(self.threshold)
        if self.alarm is None and self.fitted is not None and promised is not None:
            self.alarm = DriftAlarm(alpha=promised)

    def _begin_anew(self) -> None:
        """Raise the alarm: what was learned before is of a world that is gone."""
        self.labels.clear()
        self.audits.clear()
        self.fitted = self.alarm = self.certificate = None
        self._fit_at, self._look_at = CALIBRATED_FROM, _FIRST_LOOK
        self._summed.clear()
        self.drifted = True


@dataclass(slots=True)
class Knowledge:
    """What one tenant's log teaches.

    Attributes:
        steps: What is known of each step.
        good: How often replies that passed were right, by scope.
        passing: How often replies passed, by scope.
        observations: The newest, by attempt.
    """

    steps: dict[StepKey, StepKnowledge] = field(default_factory=dict)
    good: Ladder = field(default_factory=Ladder)
    passing: Ladder = field(default_factory=lambda: Ladder(guess=_PASS_GUESS))
    observations: dict[str, Observation] = field(default_factory=dict)
    _asks: dict[str, list[str]] = field(default_factory=dict)
    _scored: set[str] = field(default_factory=set)

    def step(self, key: StepKey) -> StepKnowledge:
        """What is known of a step; nothing at first."""
        if key not in self.steps:
            self.steps[key] = StepKnowledge(key)
        return self.steps[key]

    def fold(self, fact: Observation | Outcome) -> None:
        """Take in the next fact of the log."""
        if isinstance(fact, Observation):
            self._observe(fact)
        else:
            self._learn(fact)

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
        return self.good.estimate(key.path, action, guess)

    def _observe(self, reply: Observation) -> None:
        is_known = reply.attempt_id in self.observations
        self.observations[reply.attempt_id] = reply
        if is_known:
            return  # noted again: its ask was resumed
        key = StepKey(reply.agent, reply.step, reply.version)
        self.passing.observe(key.path, reply.action, float(reply.passed))
        self.step(key).observe(reply)
        self._asks.setdefault(reply.ask, []).append(reply.attempt_id)
        while len(self.observations) > MOST_OBSERVATIONS:
            oldest = self.observations.pop(next(iter(self.observations)))
            self._asks.pop(oldest.ask, None)
            self._scored.discard(oldest.attempt_id)

    def _learn(self, outcome: Outcome) -> None:
        reply = self.observations.get(outcome.attempt_id)
        if reply is None:
            return
        self._score(reply, outcome, outcome.score)
        for other_id in self._asks.get(reply.ask, ()) if reply.taken else ():
            other = self.observations.get(other_id)
            if other is None or other.agrees is None:
                continue
            # Who says the same as a right reply is right; who says something else than a wrong one
            # may be either.
            right = outcome.score >= _HALF
            if right or other.agrees:
                self._score(other, outcome, float(right and other.agrees))

    def _score(self, reply: Observation, outcome: Outcome, score: float) -> None:
        if not reply.passed:
            return
        weight = outcome.weight
        key = StepKey(reply.agent, reply.step, reply.version)
        if reply.attempt_id not in self._scored:
            self._scored.add(reply.attempt_id)
            self.good.observe(key.path, reply.action, score, weight)
        if weight < _HALF:
            return
        step = self.step(key)
        step.label(reply, score, outcome.source)
        step.fit(
            {
                action: self.quality(key, action, kept[-1][0].guess).mean
                for action, kept in step.recent.items()
            }
        )
        step.look(outcome.at)


def _promised(threshold: float | None) -> float | None:
    """The share of wrong replies that a threshold allows; `None`: it promises nothing."""
    return None if threshold is None or not 0 < threshold < 1 else 1 - threshold


def _is_kept_out(attempt_id: str) -> bool:
    """Half of what is drawn at random fits nothing, so that it can prove something."""
    return sha256(attempt_id.encode()).digest()[0] % 2 == 0
