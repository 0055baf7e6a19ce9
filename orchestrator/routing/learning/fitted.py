"""What was fitted to the outcomes of one step, as plain numbers: it serves without numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

from orchestrator.routing.estimate.calibration import Calibration
from orchestrator.routing.estimate.served import Served
from orchestrator.routing.learning.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """From a reply to its calibrated confidence.

    Attributes:
        actions: Positions of the actions in `quality`; another action is of none.
        checks: Names of the checks whose scores are looked at, in their order.
        endings: Per action, how often its replies ended in which form.
        quality: The expected outcome of a reply.
        calibration: From that to a probability.
        labels: How many outcomes it was fitted to.
    """

    actions: Mapping[str, int]
    quality: Served
    labels: int
    checks: tuple[str, ...] = ()
    endings: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)

    def estimate(self, reply: Observation) -> float:
        """The expected outcome of a reply, not calibrated yet."""
        group = self.actions.get(reply.action, -1)
        dense = self.dense(reply) if self.quality.dense else ()
        return self.quality.predict(group, dense, {})[0]

    def confidence(self, reply: Observation) -> float:
        """The probability that a reply is acceptable, whatever its checks said."""
        return self.calibration(self.estimate(reply))

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
