"""What is known of one step: its newest replies, their outcomes, and what a confidence is worth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from orchestrator.routing.certificate import CALIBRATED_FROM, Certificate, State, at_most
from orchestrator.routing.drift import DriftAlarm
from orchestrator.routing.learning.belief import Belief, Fit, Look, Work
from orchestrator.routing.learning.fitted import Fitted
from orchestrator.routing.learning.observation import Observation, StepKey
from orchestrator.routing.learning.record import Record
from orchestrator.routing.learning.refit import NEWEST
from orchestrator.routing.learning.trust import WHOLE

DELTA = 0.05
"""The probability that a certificate is false, over all times it is looked for."""
CERTIFIED_FOR = timedelta(days=90)
"""How long a certificate is believed: worlds change without telling."""
_RECENT = 300
"""Replies of an action that say how often it will be accepted."""
_GROWTH = 0.5
"""Labels are worth a new fit when there are so much more of them."""
_FIRST_LOOK, _LOOK_GROWTH = 30, 1.5
"""Audits with which a certificate is first looked for, and how many times more each time after."""


@dataclass(slots=True)
class StepKnowledge:
    """What is known of one step.

    Attributes:
        key: Which.
        threshold: The confidence it asked for when it was last used; `None`: none.
        labels: Outcomes of replies that passed their checks, by attempt, since the last drift.
        audits: Of those, what was drawn at random and kept out of every fit.
        recent: Per action, its newest replies.
        belief: What is believed of them.
        alarm: Watches the promise among accepted replies; `None`: nothing is promised.
        drifted: Whether the alarm was raised and too little was learned since.
        looks: How often a certificate was looked for.
    """

    key: StepKey
    threshold: float | None = None
    labels: dict[str, tuple[Observation, float]] = field(default_factory=dict)
    audits: dict[str, tuple[Observation, float]] = field(default_factory=dict)
    recent: dict[str, deque[Observation]] = field(default_factory=dict)
    belief: Belief = field(default_factory=Belief)
    alarm: DriftAlarm | None = None
    drifted: bool = False
    looks: int = 0
    _summed: dict[tuple[str, float | None], tuple[float, float, float]] = field(
        default_factory=dict
    )
    _records: dict[str, Record] = field(default_factory=dict)
    _fit_at: int = CALIBRATED_FROM
    _look_at: int = _FIRST_LOOK
    _fit_due: Fit | None = None
    _look_due: Look | None = None

    @property
    def fitted(self) -> Fitted | None:
        """From a reply to its confidence; `None`: too few labels."""
        return self.belief.fitted

    @property
    def fitted_to(self) -> int:
        """How many outcomes that was fitted to."""
        return 0 if self.fitted is None else self.fitted.labels

    @property
    def certificate(self) -> Certificate | None:
        """The newest, if the promise was looked at and its time is not over."""
        return self.belief.certificate

    @property
    def state(self) -> State:
        """What a confidence is worth."""
        if self.fitted is None:
            return "uncalibrated"
        is_certified = self.certificate is not None and self.certificate.state == "certified"
        return "certified" if is_certified else "calibrated"

    def confidence(self, reply: Observation) -> float | None:
        """The calibrated probability that a reply is acceptable; `None`: not known yet."""
        return self.belief.confidence(reply)

    def observe(self, reply: Observation) -> None:
        """Take in a reply."""
        if reply.threshold != self.threshold:
            # Another threshold is another promise.
            self.threshold, self.alarm, self._look_due = reply.threshold, None, None
            if self._is_fitted:
                self._fit_at = len(self.labels)  # levels of confidence part where it decides
            self.belief = replace(self.belief, certificate=None)
            self._watch()
        kept = self.recent.setdefault(reply.action, deque(maxlen=_RECENT))
        if len(kept) == _RECENT:
            self.belief.worths.pop(kept[0].attempt_id, None)
        kept.append(reply)
        self.belief.worth(reply)
        self._records.pop(reply.action, None)
        self._summed = {}

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
        # Whoever takes in facts may do so meanwhile, on another thread.
        if (known := self._records.get(action)) is None:
            known = self._records[action] = Record.of(tuple(self.recent.get(action, ())))
        return known

    def label(self, reply: Observation, score: float) -> None:
        """Take in the outcome, 0 to 1, of a reply that passed, or another one in its place."""
        if not is_kept_out(reply):
            self._take(self.labels, reply, score)

    def audit(self, reply: Observation, score: float) -> None:
        """Take in what an audit says of a reply: what is kept apart is judged by nothing else."""
        if reply.passed and is_kept_out(reply):
            self._take(self.audits, reply, score)

    def unlabel(self, reply: Observation) -> None:
        """Forget an outcome that turned out to be unknown."""
        self.labels.pop(reply.attempt_id, None)

    def _take(
        self, known: dict[str, tuple[Observation, float]], reply: Observation, score: float
    ) -> None:
        is_new = reply.attempt_id not in known
        known[reply.attempt_id] = (reply, score)
        # A bet is made once: what is heard later of the same reply corrects the label alone.
        if not (is_new and reply.taken and self.alarm is not None and self._promises(reply)):
            return
        if self.alarm.observe(wrong=score < WHOLE):
            self._begin_anew()

    def fit(self, guess: Callable[[str, float], float]) -> None:
        """See whether a fit is due: whether labels have become many more.

        Args:
            guess: What is believed of an action without these labels, from what was once guessed.
        """
        if len(self.labels) < self._fit_at:
            return
        guesses = {action: guess(action, kept[-1].guess) for action, kept in self.recent.items()}
        self._fit_due = Fit(tuple(self.labels.values())[-NEWEST:], guesses, self.threshold)
        self._fit_at = len(self.labels) + min(round(len(self.labels) * _GROWTH), NEWEST // 2)
        self._look_at, self._look_due = _FIRST_LOOK, None
        self.drifted = False
        self._watch()

    def lapse(self, now: datetime) -> None:
        """Drop a certificate whose time is over."""
        found = self.certificate
        if found is not None and found.expires is not None and found.expires <= now:
            self.belief = replace(self.belief, certificate=None)

    def look(self, at: datetime | None = None) -> None:
        """See whether a look at the promise is due: whether enough audits came in since the last.

        Args:
            at: When the newest of them did; the certificate's time begins there.
        """
        promised = _promised(self.threshold)
        if not self._is_fitted or promised is None or len(self.audits) < self._look_at:
            return
        self.looks += 1
        self._look_at = round(len(self.audits) * _LOOK_GROWTH) + 1
        self._look_due = Look(
            audits=tuple(self.audits.values()),
            promised=promised,
            # Each look may err: the errors of all of them add up to DELTA.
            delta=DELTA / (self.looks * (self.looks + 1)),
            scope=self.key.version,
            expires=at and at + CERTIFIED_FOR,
        )

    def work(self) -> Work | None:
        """What is due, to be carried out and then adopted; `None`: nothing."""
        if self._fit_due is None and self._look_due is None:
            return None
        replies = tuple(reply for kept in self.recent.values() for reply in kept)
        return Work(self._fit_due, self._look_due, self.belief, replies)

    def adopt(self, work: Work, found: Belief) -> None:
        """Believe what work came to, unless an alarm or another fit has overtaken it."""
        is_stale = work.fit is None and work.belief.fitted is not self.fitted
        if work.fit is not self._fit_due or is_stale:
            return
        if work.look is not self._look_due:
            found = replace(found, certificate=None)
        else:
            self._look_due = None
        self._fit_due, self.belief = None, found
        self._summed = {}

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
        summed = self._summed
        if (found := summed.get((action, threshold))) is None:
            least = 0.0 if self.fitted is None or threshold is None else threshold
            kept, belief = tuple(self.recent.get(action, ())), self.belief
            found = summed[action, threshold] = (
                float(sum(belief.worth(reply) >= least for reply in kept)),
                float(len(kept)),
                sum(reply.cost for reply in kept),
            )
        return found

    @property
    def _is_fitted(self) -> bool:
        """Whether a fit was due since all that was learned went wrong."""
        return self.fitted is not None or self._fit_due is not None

    def _promises(self, reply: Observation) -> bool:
        """Whether a reply was accepted under this promise: what is thought of it now is no bet."""
        return (
            self.threshold is not None
            and reply.threshold == self.threshold
            and reply.state != "uncalibrated"
            and reply.confidence is not None
            and reply.confidence >= self.threshold
        )

    def _watch(self) -> None:
        promised = _promised(self.threshold)
        if self.alarm is None and self._is_fitted and promised is not None:
            self.alarm = DriftAlarm(alpha=promised)

    def _begin_anew(self) -> None:
        """Raise the alarm: what was learned before is of a world that is gone."""
        self.labels.clear()
        self.audits.clear()
        self.alarm = self._fit_due = self._look_due = None
        self.belief = Belief()
        self._fit_at, self._look_at = CALIBRATED_FROM, _FIRST_LOOK
        self._summed = {}
        self.drifted = True


def _promised(threshold: float | None) -> float | None:
    """The share of wrong replies that a threshold allows; `None`: it promises nothing."""
    return None if threshold is None or not 0 < threshold < 1 else 1 - threshold


def is_kept_out(reply: Observation) -> bool:
    """Half of what is drawn at random fits nothing, so that it can prove something."""
    is_drawn = reply.audited and reply.taken
    return is_drawn and sha256(reply.attempt_id.encode()).digest()[0] % 2 == 0
