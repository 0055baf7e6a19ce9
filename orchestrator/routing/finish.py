"""What steps may cost, and what the cheapest way to finish them needs.

Expectations do not keep a promise, so what is kept for a finish is what its calls are expected to
cost, with a margin for their scatter, and room for the worst case of one, which is reserved before
it starts; where the scatter is unknown, the worst case of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

MARGIN = 2.33
"""Deviations of the cost of a finish that are kept; exceeded with a probability of .01."""
_SLACK = 1e-9
"""What sums of floats may be off by, relatively."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to do one step. Costs are in one unit, whichever it is.

    Attributes:
        name: The action's.
        success: The probability that the step succeeds with it, 0 to 1.
        cost: What it is expected to cost, checks and retries included.
        most: What it can cost at most, which is reserved for it; never less than `cost`.
        seconds: How long it can take at most; 0: unknown.
        spread: The standard deviation of its cost; `None`: unknown, so that a finish with it counts
            at its worst case.
    """

    name: str
    success: float
    cost: float
    most: float
    seconds: float = 0.0
    spread: float | None = None


Step = Sequence[Choice]
"""The choices of one step, at least one."""
Plan = Sequence[Step]
"""The choices of each step that is still to come."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What steps need, each with the choice whose worst case is least.

    Attributes:
        worst: All of their worst cases.
        mean: What they are expected to cost; where the scatter is unknown, their worst cases.
        variance: Of that.
        room: By how much the reserve of one call can exceed what it is counted at here.
    """

    worst: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    room: float = 0.0

    def beside(self, step: Step, share: float = 1.0) -> Finish:
        """The same with one more step, or a share of one."""
        least = cheapest(step)
        return self._with(least, share, least.most - _counted(least))

    def after(self, choice: Choice, margin: float = MARGIN) -> float:
        """The money for a choice now and for the finish after it."""
        return max(choice.most, self._with(choice).needed(margin))

    def needed(self, margin: float = MARGIN) -> float:
        """The money for it, with a margin of so many deviations; at most all worst cases."""
        kept = self.mean + self.room
        if self.variance:
            kept += margin * sqrt(self.variance)
        return min(self.worst, kept)

    def _with(self, choice: Choice, share: float = 1.0, room: float = 0.0) -> Finish:
        return Finish(
            self.worst + share * choice.most,
            self.mean + share * _counted(choice),
            self.variance + share * (choice.spread or 0.0) ** 2,
            max(self.room, room),
        )


def cheapest_finish(plan: Plan) -> float:
    """What the plan needs if every step takes the choice whose worst case is least."""
    finish = Finish()
    for step in plan:
        finish = finish.beside(step)
    return finish.needed()


def cheapest(step: Step) -> Choice:
    """The choice that risks least."""
    return min(step, key=lambda choice: (choice.most, choice.cost))


def is_within(cost: float, budget: float) -> bool:
    """Whether money suffices, but for errors of rounding."""
    return cost <= budget + _SLACK * abs(budget)


def _counted(choice: Choice) -> float:
    return choice.most if choice.spread is None else choice.cost
