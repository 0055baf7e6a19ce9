"""What follows from a step's outcomes, worked out apart from taking them in.

When something is to be fitted is decided by the log alone, and all that it needs is put together at
that moment. The fitting takes some tenths of a second, so it is left to whoever has the time; what
was overtaken meanwhile is never worked out, and what comes of it is the same whenever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.routing.certificate import Certificate, certify
from orchestrator.routing.learning.fitted import Fitted
from orchestrator.routing.learning.observation import Observation
from orchestrator.routing.learning.refit import Label, refit
from orchestrator.routing.learning.trust import WHOLE


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fit that is due: to these labels, and what is believed of each action without them."""

    labels: tuple[Label, ...]
    guesses: Mapping[str, float]
    threshold: float | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Look:
    """A look, which is due, whether a promise can be certified.

    Attributes:
        audits: What shows it.
        promised: The largest share of accepted replies that may be wrong.
        delta: The probability that a certificate by this look is false.
        scope: What it would hold for.
        expires: Until when.
    """

    audits: tuple[Label, ...]
    promised: float
    delta: float
    scope: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed now.

    Attributes:
        fitted: From a reply to its confidence; `None`: too few labels.
        certificate: The newest, if the promise was looked at.
        worths: The confidence of the replies that are remembered, by attempt.
    """

    fitted: Fitted | None = None
    certificate: Certificate | None = None
    worths: dict[str, float] = field(default_factory=dict)

    def confidence(self, reply: Observation) -> float | None:
        """The calibrated probability that a reply is acceptable; `None`: not known yet."""
        if self.fitted is None:
            return None
        return self.fitted.confidence(reply) if reply.passed else 0.0

    def worth(self, reply: Observation) -> float:
        """The same, looked up where it is known; 0 while nothing is, and -1 if it did not pass."""
        if not reply.passed:
            return -1.0
        if self.fitted is None:
            return 0.0
        if (known := self.worths.get(reply.attempt_id)) is None:
            known = self.worths[reply.attempt_id] = self.fitted.confidence(reply)
        return known


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What is due for one step, with all that it needs.

    Attributes:
        fit: The fit, if one is due.
        look: The look, if one is due.
        belief: What is believed so far.
        replies: The replies that are remembered.
    """

    fit: Fit | None
    look: Look | None
    belief: Belief
    replies: tuple[Observation, ...]

    def carry_out(self) -> Belief:
        """Do it; some tenths of a second, without touching anything else."""
        belief = self.belief
        if self.fit is not None:
            # The confidence is another then: what was shown of the former one is void.
            belief = Belief(refit(self.fit.labels, self.fit.guesses, self.fit.threshold))
            for reply in self.replies:
                belief.worth(reply)
        look, fitted = self.look, belief.fitted
        if look is None or fitted is None:
            return belief
        certificate = certify(
            [(fitted.confidence(reply), score < WHOLE) for reply, score in look.audits],
            [1 - look.promised],
            alpha=look.promised,
            delta=look.delta,
            loss="the accepted reply says something else than the audit's",
            scope=look.scope,
            expires=look.expires,
        )
        return Belief(fitted, certificate, belief.worths)
