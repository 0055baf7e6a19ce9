"""Where on its curve a policy is run: chosen on the labelled questions, reported on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.bench.route.metrics import hull
from orchestrator.bench.route.policy import Outcome
from orchestrator.routing.estimate.fitting import Matrix

_MARGIN = 0.25
"""Standard errors by which the target must be exceeded on the labelled questions, for the point
that happens to look best there looks better than it is."""
_CERTAIN = 3.09
"""Standard errors that count against a point that should beat mixing two models: by chance one in a
thousand does, and the best of many is looked for."""

Single = tuple[float, Matrix]
"""What one model costs on average, and what it scored on each question."""


@dataclass(frozen=True, slots=True)
class Operating:
    """Two prices and the share of questions at the second: any cost between theirs can be met.

    Attributes:
        low: The index of the price of the cheaper point.
        high: The index of the price of the dearer point.
        share: The share of questions at the dearer one.
    """

    low: int
    high: int
    share: float

    @property
    def nearer(self) -> int:
        """The index of the price that most questions are routed at."""
        return self.high if self.share > 0.5 else self.low  # noqa: PLR2004 - the greater half

    def mix(self, values: Sequence[Matrix]) -> Matrix:
        """The expectation over both of anything that each price gives."""
        return (1 - self.share) * values[self.low] + self.share * values[self.high]


def reach(outcomes: Sequence[Outcome], reference: Matrix) -> Operating:
    """The cheapest point whose quality reaches that of the reference, by a margin.

    Args:
        outcomes: One per price, on the labelled questions.
        reference: What the model to be reached scored on them.

    Returns:
        The point; the best there is, if none reaches it.
    """
    corners = _corners(outcomes)
    before = corners[0]
    for corner in corners:
        ahead = outcomes[corner].score - reference
        bar = _MARGIN * float(ahead.std()) / np.sqrt(len(ahead))
        if ahead.mean() >= bar:
            if corner == before:
                return Operating(corner, corner, 0.0)
            target = float(reference.mean()) + bar
            low, high = outcomes[before].point[1], outcomes[corner].point[1]
            return Operating(before, corner, min(1.0, max(0.0, (target - low) / (high - low))))
        before = corner
    return Operating(before, before, 0.0)


def balance(outcomes: Sequence[Outcome], cheapest: Single, best: Single) -> Operating:
    """The point that lies surely highest above the line from the cheapest model to the best one.

    Args:
        outcomes: One per price, on the labelled questions.
        cheapest: What the cheapest model costs on average, and what it scored on each of them.
        best: The same of the best one.

    Returns:
        The point; the cheapest one, if none is surely above what mixing the two reaches.
    """

    def surely_above(corner: int) -> float:
        run = best[0] - cheapest[0]
        share = (outcomes[corner].point[0] - cheapest[0]) / run if run > 0 else 1.0
        mixed = cheapest[1] + max(share, 0.0) * (best[1] - cheapest[1])
        ahead = outcomes[corner].score - mixed
        return float(ahead.mean() - _CERTAIN * ahead.std() / np.sqrt(len(ahead)))

    corner = max(_corners(outcomes), key=surely_above)
    return Operating(corner, corner, 0.0)


def _corners(outcomes: Sequence[Outcome]) -> list[int]:
    """The prices whose points lie on the hull, cheapest first."""
    points = [outcome.point for outcome in outcomes]
    return [points.index(point) for point in hull(points)]
