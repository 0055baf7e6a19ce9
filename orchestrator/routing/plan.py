"""How to spread what is left of a budget over the steps that are still to come.

A plan succeeds if all of its steps do, so the sum of ``log p`` is what money should raise. Within
an expected cost that is a linear programme; it separates by step, and its dual is one number, the
price of money (the lambda of Dekoninck et al., arXiv 2410.10347). It is solved exactly: the steps'
choices are put in the order of what they buy per unit of cost (their hulls), and money is spent
down that list. The price is where it runs out. It is solved anew at every step, from what was
really spent and for the very case at hand.

Expectations do not keep a promise, so a hard rule stands before them: whatever a step takes must
leave enough for the cheapest way to finish. That is what its calls are expected to cost, with a
margin for their scatter, and room for the worst case of one, which is reserved before it starts;
where the scatter is unknown, the worst case of all. If nothing leaves so much, what risks least is
taken: a plan that may fail to finish has not failed yet.

    picked = pick([this_step, *steps_to_come], money_left)
    picked.choice        # None: nothing fits, the plan halts here

A reply in hand that could be accepted is one more choice:
``Choice(name="accept", success=..., cost=0, most=0)``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf, log, sqrt

_MARGIN = 2.33
"""Deviations of the cost of a finish that are kept; exceeded with a probability of .01."""
_LEAST = 1e-3
"""The least chance of success that is told from none: one hopeless step must not make all others
worthless."""
_TIE = 9
"""Decimals up to which scores are told apart: below are errors of rounding, not a preference."""
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
"""The choices of each step that is still to come, this one first."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What to do at this step.

    Attributes:
        choice: What to take; `None`: nothing fits what is left, so nothing may start.
        price: The success (in `log p`) that one unit of cost must buy; 0
            where there is enough for the best of everything.
        fitting: The names of all choices that leave enough for the cheapest finish.
        finish: What the cheapest finish after this step needs.
        scores: The ``log p`` of the whole plan with each choice that was compared.
    """

    choice: Choice | None
    price: float
    fitting: tuple[str, ...]
    finish: float
    scores: tuple[tuple[str, float], ...] = ()


def pick(
    plan: Plan,
    budget: float,
    *,
    reserve: float = 0.0,
    seconds: float = inf,
    ahead: float | None = None,
) -> Pick:
    """Choose for the first step of a plan.

    Args:
        plan: What is to come, this step first.
        budget: The money left, in the unit of the costs; `inf`: no limit.
        reserve: What is kept back on top of the cheapest finish: one verification and one
            escalation, say. It gives way before the plan does.
        seconds: The time left.
        ahead: How many steps `plan` after its first stands for; `None`: as many as it has. With
            another number its entries are cases, of which each step to come may be any: recorded
            cases spend better than their means, and a length need be known on average only.

    Returns:
        The choice, and why; of equals the cheaper one.

    Raises:
        ValueError: If the plan has no steps.
    """
    if not plan:
        message = "a plan needs at least the step that is to be done now"
        raise ValueError(message)
    now, rest = plan[0], [] if ahead == 0 else plan[1:]
    share = 1.0 if ahead is None or not rest else ahead / len(rest)
    finish = _Finish.of(rest, share)
    possible = [c for c in now if _within(c.most, budget) and c.seconds <= seconds]
    in_time = seconds - quickest_finish(rest, share)

    def leaving(kept: float) -> list[Choice]:
        return [
            c for c in possible if _within(finish.after(c) + kept, budget) and c.seconds <= in_time
        ]

    among = fitting = leaving(reserve)
    if not among and (unreserved := leaving(0.0)):
        among = fitting = sorted(unreserved, key=lambda choice: choice.cost)[:1]
    if not among:
        among = sorted(possible, key=lambda choice: (choice.most, choice.cost))[:1]
    spendable = budget - reserve
    # What can never be reserved is not saved up for.
    within = [[c for c in step if _within(c.most, spendable)] or step for step in rest]
    frontier = _Frontier.of(within, share)
    scores = [round(_value(c) + frontier(spendable - c.cost), _TIE) for c in among]
    best = max(
        zip(among, scores, strict=True), key=lambda one: (one[1], -one[0].cost), default=None
    )
    names = [choice.name for choice in among]
    return Pick(
        choice=best[0] if best else None,
        price=frontier.price(spendable - best[0].cost) if best else inf,
        fitting=tuple(choice.name for choice in fitting),
        finish=finish.needed(),
        scores=tuple(zip(names, scores, strict=True)),
    )


def cheapest_finish(plan: Plan, share: float = 1.0) -> float:
    """What the plan needs if every step takes the choice whose worst case is least.

    Args:
        plan: Its steps.
        share: How many steps each of them stands for.

    Returns:
        What they are expected to cost, a margin for scatter, and the room that the reserve of one
        call needs; never more than all worst cases, which count where the scatter is unknown.
    """
    return _Finish.of(plan, share).needed()


def quickest_finish(plan: Plan, share: float = 1.0) -> float:
    """How long the plan takes at most if every step takes the quickest choice."""
    return share * sum(min(choice.seconds for choice in step) for step in plan)


@dataclass(frozen=True, slots=True)
class _Finish:
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

    @classmethod
    def of(cls, plan: Plan, share: float) -> _Finish:
        """Add up the steps, each of which stands for `share` steps."""
        finish = cls()
        for step in plan:
            least = min(step, key=lambda choice: (choice.most, choice.cost))
            finish = finish.with_(least, share, least.most - _counted(least))
        return finish

    def with_(self, choice: Choice, share: float = 1.0, room: float = 0.0) -> _Finish:
        """The same with a choice more."""
        return _Finish(
            self.worst + share * choice.most,
            self.mean + share * _counted(choice),
            self.variance + share * (choice.spread or 0.0) ** 2,
            max(self.room, room),
        )

    def needed(self) -> float:
        """The money for it, with the margin for scatter."""
        return min(self.worst, self.mean + _MARGIN * sqrt(self.variance) + self.room)

    def after(self, choice: Choice) -> float:
        """The money for a choice now and for the finish after it."""
        return max(choice.most, self.with_(choice).needed())


def _counted(choice: Choice) -> float:
    return choice.most if choice.spread is None else choice.cost


@dataclass(frozen=True, slots=True)
class _Frontier:
    """The most success (in `log p`) that steps reach at an expected cost: concave.

    Attributes:
        costs: Where its slope changes, ascending; the first is the least that can be spent.
        values: The success there.
    """

    costs: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, plan: Plan, share: float) -> _Frontier:
        """Spend on what buys most per unit first, over the hulls of all steps at once."""
        hulls = [_hull(step, max(1.0, share * len(plan))) for step in plan]
        rises = [
            (share * (right[0] - left[0]), share * (right[1] - left[1]))
            for hull in hulls
            for left, right in pairwise(hull)
        ]
        rises.sort(key=lambda rise: rise[1] / rise[0], reverse=True)
        least = share * sum(hull[0][0] for hull in hulls)
        value = share * sum(hull[0][1] for hull in hulls)
        return cls(
            tuple(accumulate((run for run, _ in rises), initial=least)),
            tuple(accumulate((up for _, up in rises), initial=value)),
        )

    def __call__(self, budget: float) -> float:
        """The success there; below the least cost it falls as if the plan were lost."""
        if budget >= self.costs[-1]:
            return self.values[-1]
        short = max(0.0, self.costs[0] - budget)
        if short:
            return self.values[0] - short * self.price(budget)
        i = self._segment(budget)
        return self.values[i] + self.price(budget) * (budget - self.costs[i])

    def price(self, budget: float) -> float:
        """The slope there: what one unit more would buy."""
        if budget >= self.costs[-1]:
            return 0.0
        if budget < self.costs[0]:
            return -log(_LEAST) / self.costs[0] if self.costs[0] > 0 else inf
        i = self._segment(budget)
        return (self.values[i + 1] - self.values[i]) / (self.costs[i + 1] - self.costs[i])

    def _segment(self, budget: float) -> int:
        return bisect_right(self.costs, budget) - 1


def _hull(step: Step, steps: float) -> list[tuple[float, float]]:
    """The upper convex hull of cost and success, rising; what no money buys is not on it.

    The last call needs its reserve as the first did: each step bears an equal part of that room.
    """
    found: list[tuple[float, float]] = []
    points = ((c.cost + (c.most - c.cost) / steps, _value(c)) for c in step)
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if found and point[1] <= found[-1][1]:
            continue
        while len(found) > 1 and _slope(found[-2], found[-1]) <= _slope(found[-1], point):
            found.pop()
        found.append(point)
    return found


def _slope(left: tuple[float, float], right: tuple[float, float]) -> float:
    return (right[1] - left[1]) / (right[0] - left[0])


def _value(choice: Choice) -> float:
    return log(max(choice.success, _LEAST))


def _within(cost: float, budget: float) -> bool:
    return cost <= budget + _SLACK * abs(budget)
