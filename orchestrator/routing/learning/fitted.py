"""What was fitted to the outcomes of one step, as plain numbers: it serves without numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from orchestrator.routing.estimate.calibration import Calibration
from orchestrator.routing.estimate.served import Served
from orchestrator.routing.learning.observation import Asked, Observation
from orchestrator.routing.signals.text import PROMPT

_EDGE, _CAP = 0.02, 3.0
"""Where probabilities are cut, and the most that a prompt may move log-odds: a factor of 20."""


@dataclass(frozen=True, slots=True)
class Before:
    """What prompts say of the outcomes of replies to them.

    Attributes:
        quality: The expected outcome, by the position of the action.
        means: The same of each action's replies on average.
    """

    quality: Served
    means: tuple[float, ...]

    def expected(self, action: int, signals: Sequence[float], words: Mapping[int, float]) -> float:
        """The expected outcome; where it is not known what was asked, that on average."""
        if not words:
            return self.means[action]
        return self.quality.predict(action, signals, words)[0]

    def guessing(self, guesses: Mapping[int, float]) -> Before:
        """The same with guesses in the place of means for actions, by position."""
        means = tuple(guesses.get(number, mean) for number, mean in enumerate(self.means))
        return Before(_guessing(self.quality, guesses), means)

    def odds(self, action: int, asked: Asked) -> float:
        """By how much a prompt moves the log-odds that an action's reply to it is right."""
        expected = self.expected(action, asked.signals, asked.words)
        moved = _log_odds(expected) - _log_odds(self.means[action])
        return min(max(moved, -_CAP), _CAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """From a reply to its calibrated confidence.

    Attributes:
        actions: Positions of the actions in `quality`; another action is of none.
        checks: Names of the checks whose scores are looked at, in their order.
        endings: Per action, how often its replies ended in which form.
        quality: The expected outcome of a reply.
        before: What prompts say of outcomes before any reply; `None`: nothing that shows.
        calibration: From that to a probability.
        labels: How many outcomes it was fitted to.
    """

    actions: Mapping[str, int]
    quality: Served
    labels: int
    checks: tuple[str, ...] = ()
    endings: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    before: Before | None = None
    calibration: Calibration = field(default_factory=Calibration)

    def guessing(self, guesses: Mapping[int, float]) -> Fitted:
        """The same with guesses in the place of means for actions, by position."""
        if self.before is not None:
            return replace(self, before=self.before.guessing(guesses))
        return replace(self, quality=_guessing(self.quality, guesses))

    def estimate(self, reply: Observation) -> float:
        """The expected outcome of a reply, not calibrated yet."""
        group = self.actions.get(reply.action, -1)
        dense = self.dense(reply) if self.quality.dense else ()
        found = self.quality.predict(group, dense, {})[0]
        if self.before is None:
            return found
        return found + self.before.expected(group, reply.signals[: len(PROMPT)], reply.words)

    def confidence(self, reply: Observation) -> float:
        """The probability that a reply is acceptable, whatever its checks said."""
        return self.calibration(self.estimate(reply))

    def odds(self, action: str, asked: Asked | None) -> float:
        """By how much a prompt moves the log-odds of a right reply; 0: nothing is known of that."""
        number = self.actions.get(action)
        if self.before is None or asked is None or number is None:
            return 0.0
        return self.before.odds(number, asked)

    def dense(self, reply: Observation, *, own: bool = False) -> list[float]:
        """All numbers that are known of a reply, in their order.

        Args:
            reply: The reply.
            own: Whether its ending is among those counted, and must not vouch for itself.
        """
        found = list(reply.signals)
        for name in self.checks:
            score = reply.checks.get(name)
            found += [0.0, 0.0] if score is None else [1.0, score]
        seen = self.endings.get(reply.action, {})
        usual = seen.get(reply.ending, 0) - own + 1
        found.append(log(usual / (sum(seen.values()) - own + 1)))
        return found


def _log_odds(p: float) -> float:
    p = min(max(p, _EDGE), 1 - _EDGE)
    return log(p / (1 - p))


def _guessing(quality: Served, guesses: Mapping[int, float]) -> Served:
    base = ((guesses[n],) if n in guesses else row for n, row in enumerate(quality.base))
    return replace(quality, base=tuple(base))
