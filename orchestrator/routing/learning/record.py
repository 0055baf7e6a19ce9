"""What asking an action took so far: money and time, with all that came with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf
from statistics import fmean

from orchestrator.routing.learning.observation import Observation

TELLING = 20
"""From how many replies on their times tell whether another one comes in time."""
LIKELY = 0.1
"""The chance to come in time below which nobody is asked: it would be paid, cut off and lost."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an action's newest replies took.

    Attributes:
        seen: How many there are, those that never came but cost money included.
        full: What each cost on average with its retries and checks, in USD, had the provider's
            prompt cache been empty.
        cold: The share of that which the cache took off where the task had not asked the same model
            shortly before; below 0 where filling it costs more.
        warm: The same where it had; `None`: it never had.
        seconds: How long each took on the wire, ascending; without those of which that is unknown.
        mean_s: How long one takes on average; `None`: not known.
    """

    seen: int = 0
    full: float = 0.0
    cold: float = 0.0
    warm: float | None = None
    seconds: tuple[float, ...] = ()
    mean_s: float | None = None

    @classmethod
    def of(cls, replies: Iterable[Observation]) -> Record:
        """Sum them up."""
        seen, totals, saved, seconds = 0, [0.0, 0.0], [0.0, 0.0], []
        for reply in replies:
            seen += 1
            totals[reply.warm] += reply.cost + reply.saved
            saved[reply.warm] += reply.saved
            if reply.seconds > 0:
                seconds.append(reply.seconds)
        cold, warm = (
            part / total if total > 0 else 0.0 for part, total in zip(saved, totals, strict=True)
        )
        return cls(
            seen=seen,
            full=sum(totals) / seen if seen else 0.0,
            cold=cold,
            warm=warm if totals[True] > 0 else None,
            seconds=tuple(sorted(seconds)),
            mean_s=fmean(seconds) if seconds else None,
        )

    @property
    def least_s(self) -> float:
        """In less time than this another one hardly comes; 0 while too few are known."""
        if len(self.seconds) < TELLING:
            return 0.0
        return self.seconds[ceil(LIKELY * (len(self.seconds) + 1)) - 2]

    def in_time(self, left_s: float) -> float:
        """How likely another one comes within `left_s` seconds; 1 while too few are known."""
        if left_s == inf or len(self.seconds) < TELLING:
            return 1.0
        return min(1.0, (bisect_right(self.seconds, left_s) + 1) / (len(self.seconds) + 1))
