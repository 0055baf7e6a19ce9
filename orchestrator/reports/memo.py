"""What the memo saved, from the ledger and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from orchestrator.core.money import Money
from orchestrator.ledger.factory import reader_from_url


@dataclass(slots=True)
class StepSavings:
    """What the memo saved of one step or tool.

    Attributes:
        step: The step or tool.
        hits: How often it answered.
        asks: How often a model was asked first; retries and escalations are not counted.
        saved: What the hits would have cost.
        saved_seconds: How long they would have taken.
        refreshed: Stale entries that were asked anew.
        reruns: Fresh hits that were asked anew to see whether they still held.
        reruns_changed: Those that did not.
        upkeep: What asking anew cost.
    """

    step: str
    hits: int = 0
    asks: int = 0
    saved: Money = Money.ZERO
    saved_seconds: float = 0.0
    refreshed: int = 0
    reruns: int = 0
    reruns_changed: int = 0
    upkeep: Money = Money.ZERO

    @property
    def stale_rate(self) -> float | None:
        """Share of the sampled fresh hits that no longer held; ``None`` without a sample.

        Other words count as another answer, so this is the most it can be.
        """
        return self.reruns_changed / self.reruns if self.reruns else None

    @property
    def hit_rate(self) -> float:
        """Share of what was asked that the memo answered."""
        return self.hits / (self.hits + self.asks) if self.hits else 0.0


def savings_by_step(store: str) -> list[StepSavings]:
    """What the memo saved of each step that had a hit, by name.

    Raises:
        LedgerUnavailable: If there is no ledger to read.
    """
    steps: dict[str, StepSavings] = {}
    asks: defaultdict[str, int] = defaultdict(int)
    with reader_from_url(store) as reader:
        for row in reader.attempts():
            if row.kind == "memo":
                step = steps.setdefault(row.step, StepSavings(row.step))
                step.hits += 1
                step.saved += row.saved
                step.saved_seconds += row.saved_seconds
            elif row.kind == "ask":
                asks[row.step] += 1
            elif row.kind in ("refresh", "rerun"):
                steps.setdefault(row.step, StepSavings(row.step)).upkeep += row.cost
        for name, kind, is_unchanged in reader.renewals():
            step = steps[name]
            step.refreshed += kind == "refresh"
            step.reruns += kind == "rerun"
            step.reruns_changed += kind == "rerun" and not is_unchanged
    for name, step in steps.items():
        step.asks = asks[name]
    return [steps[name] for name in sorted(steps)]
