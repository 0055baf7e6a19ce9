"""What the memo saved, from the ledger and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from orchestrator.core.money import Money
from orchestrator.ledger.reading import reader_from_url


@dataclass(slots=True)
class StepSavings:
    """What the memo saved of one step or tool.

    Attributes:
        step: The step or tool.
        hits: How often it answered.
        asks: How often a model was asked first; retries and escalations are not counted.
        saved: What the hits would have cost.
        saved_seconds: How long they would have taken.
    """

    step: str
    hits: int = 0
    asks: int = 0
    saved: Money = Money.ZERO
    saved_seconds: float = 0.0

    @property
    def hit_rate(self) -> float:
        """Share of what was asked that the memo answered."""
        return self.hits / (self.hits + self.asks)


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
    for name, step in steps.items():
        step.asks = asks[name]
    return [steps[name] for name in sorted(steps)]
