"""Counts of what the memo did in this process, by step."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from orchestrator.core.money import Money
from orchestrator.memo.entry import Entry


@dataclass(slots=True)
class StepCounts:
    """One step or tool.

    Attributes:
        hits: Asks answered from the memo, stale answers included.
        stale_hits: Those answered by a stale entry.
        error_hits: Those answered by an expired entry because asking failed.
        shared: Hits that waited for another asker instead of finding an entry.
        misses: Asks that had to be paid, by reason.
        stored: Answers stored.
        not_stored: Answers not stored, by reason.
        saved_nano: What the hits would have cost, in nano-dollars.
        saved_tokens: Their tokens.
        saved_seconds: Their seconds.
        reruns: Hits that were asked anew to see whether they still hold.
        reruns_differing: Those whose new answer differed.
    """

    hits: int = 0
    stale_hits: int = 0
    error_hits: int = 0
    shared: int = 0
    misses: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    not_stored: Counter[str] = field(default_factory=Counter)
    saved_nano: int = 0
    saved_tokens: int = 0
    saved_seconds: float = 0.0
    reruns: int = 0
    reruns_differing: int = 0

    @property
    def saved(self) -> Money:
        """What the hits would have cost."""
        return Money(self.saved_nano)

    @property
    def hit_rate(self) -> float | None:
        """Share of asks answered from the memo; ``None`` before the first."""
        asks = self.hits + self.misses.total()
        return self.hits / asks if asks else None

    @property
    def stale_rate(self) -> float | None:
        """Share of re-runs that gave another answer; ``None`` before the first."""
        return self.reruns_differing / self.reruns if self.reruns else None


class MemoStats:
    """Counts by step. The ledger's rows are the record; these are a view of one process."""

    def __init__(self) -> None:
        """Start at zero."""
        self._mutex = threading.Lock()
        self._steps: defaultdict[str, StepCounts] = defaultdict(StepCounts)

    @property
    def steps(self) -> dict[str, StepCounts]:
        """The counts by step."""
        with self._mutex:
            return dict(self._steps)

    def hit(self, step: str, entry: Entry, *, state: str, shared: bool) -> None:
        """Count a hit: ``state`` is ``fresh``, ``stale`` or ``error``."""
        with self._mutex:
            counts = self._steps[step]
            counts.hits += 1
            counts.stale_hits += state == "stale"
            counts.error_hits += state == "error"
            counts.shared += shared
            counts.saved_nano += entry.cost.nano
            counts.saved_tokens += entry.tokens
            counts.saved_seconds += entry.seconds

    def miss(self, step: str, reason: str) -> None:
        """Count a miss."""
        with self._mutex:
            self._steps[step].misses[reason] += 1

    def put(self, step: str, reason: str | None) -> None:
        """Count an answer that was stored, or was not for ``reason``."""
        with self._mutex:
            if reason is None:
                self._steps[step].stored += 1
            else:
                self._steps[step].not_stored[reason] += 1

    def rerun(self, step: str, *, differs: bool) -> None:
        """Count a re-run."""
        with self._mutex:
            counts = self._steps[step]
            counts.reruns += 1
            counts.reruns_differing += differs
