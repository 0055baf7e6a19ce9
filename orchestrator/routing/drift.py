"""An alarm for when accepted replies go wrong more often than promised.

A bet against the promise "at most alpha of the accepted are wrong": fair as long as it holds, so
that the capital exceeds 20 with a probability of at most 1/20, however long one looks (Ville 1939).
Bets begun later keep the alarm quick after a long good time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SUSPECTED = (1.6, 2.5)
"""Multiples of alpha that the bets are best against."""
_FIRST = 0.5
"""The share of the capital that is bet from the first label on."""
_EVERY = 100
"""Labels after which another share begins to be bet."""


@dataclass(slots=True, kw_only=True)
class DriftAlarm:
    """The capital of the bets; feed it one audited outcome after the other.

    Attributes:
        alpha: The promised share of wrong replies, 0 < alpha < 1.
        alarm_at: The capital at which the alarm is raised; false with probability 1 / `alarm_at`.
        labels: How many outcomes were taken in.
        raised: Whether the alarm was raised. It stays so: a new certificate begins a new alarm.
        bets: What one unit in each bet has become, in order of their beginning.
    """

    alpha: float
    alarm_at: float = 20.0
    labels: int = 0
    raised: bool = False
    bets: list[list[float]] = field(default_factory=list)

    @property
    def capital(self) -> float:
        """The evidence against the promise: 1 is none."""
        begun = [_weight(i) * (sum(bet) / len(bet) - 1) for i, bet in enumerate(self.bets)]
        return 1 + sum(begun)

    def observe(self, *, wrong: bool) -> bool:
        """Take in one outcome among the accepted replies; return whether the alarm is raised."""
        if self.raised:
            return True
        if self.labels % _EVERY == 0:
            self.bets.append([1.0] * len(_SUSPECTED))
        self.labels += 1
        for i, multiple in enumerate(_SUSPECTED):
            stake = min((multiple - 1) / (1 - self.alpha), 0.5 / self.alpha)
            change = 1 + stake * (wrong - self.alpha)
            for bet in self.bets:
                bet[i] *= change
        self.raised = self.capital >= self.alarm_at
        return self.raised


def _weight(order: int) -> float:
    """The share of the capital in the bet of this order; all of them add up to one."""
    return _FIRST if order == 0 else (1 - _FIRST) / (order * (order + 1))
