"""How to spread what is left of a budget over the steps that are still to come.

A plan succeeds if all of its steps do, so the sum of ``log p`` is what money should raise. Its
Lagrangian separates by step: each takes the choice with the most ``log p - price * cost``, at the
one price at which the rest of the plan is expected to cost what is left. The price is solved anew
at every step, from what was really spent.

Expectations do not keep a promise, so a hard rule stands before them: whatever a step takes must
leave enough for the cheapest way to finish, at its worst case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

_HALVINGS = 40
_LEAST = 1e-6
"""The least chance of success that is told from none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to do one step.

    Attributes:
        name: The action's.
        success: The probability that the step succeeds with it, 0 to 1.
        cost: What it is expected to cost, checks and retries included.
        most: What it can cost at most; never less than `cost`.
        seconds: How long it can take at most; 0: unknown.
    """

    name: str
    success: float
    cost: float
    most: float
    seconds: float = 0.0


Plan = Sequence[Sequence[Choice]]
"""The choices of each step that is still to come, this one first. None is empty."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What to do at this step.

    Attributes:
        choice: What to take; `None`: even the cheapest finish does not fit, so nothing may start.
        price: The success (in `log p`) that one unit of cost must buy; 0
            where there is enough for the best of everything.
        fitting: The names of all choices that leave enough for the cheapest finish.
        finish: What the cheapest finish after this step costs at most.
    """

    choice: Choice | None
    price: float
    fitting: tuple[str, ...]
    finish: float


def pick(plan: Plan, budget: float, *, reserve: float = 0.0, seconds: float = inf) -> Pick:
    """Choose for the first step of a plan.

    Args:
        plan: What is to come.
        budget: The money left, in the unit of the costs; `inf`: no limit.
        reserve: What is kept back on top of the cheapest finish: one verification and one
            escalation, say.
        seconds: The time left.

    Returns:
        The choice, and why.

    Raises:
        ValueError: If the plan has no steps.
    """
    if not plan:
        message = "a plan needs at least the step that is to be done now"
        raise ValueError(message)
    finish = cheapest_finish(plan[1:])
    in_time = seconds - quickest_finish(plan[1:])
    fitting = [
        choice
        for choice in plan[0]
        if choice.most + finish + reserve <= budget and choice.seconds <= in_time
    ]
    if not fitting:
        # The reserve is a wish; the finish is not.
        fitting = [
            choice
            for choice in plan[0]
            if choice.most + finish <= budget and choice.seconds <= in_time
        ]
        fitting = sorted(fitting, key=lambda choice: choice.cost)[:1]
    price = price_of(plan, budget - reserve)
    names = tuple(choice.name for choice in fitting)
    return Pick(_best(fitting, price) if fitting else None, price, names, finish)


def price_of(plan: Plan, budget: float) -> float:
    """The price at which the whole plan is expected to cost no more than the budget.

    Args:
        plan: What is to come.
        budget: The money for it.

    Returns:
        The least such price; 0 if the best of everything fits, `inf` if not even the cheapest does.
    """
    if _expected(plan, 0.0) <= budget:
        return 0.0
    if _expected(plan, inf) > budget:
        return inf
    low, high = 0.0, 1.0
    while _expected(plan, high) > budget:
        low, high = high, high * 4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _expected(plan, middle) > budget:
            low = middle
        else:
            high = middle
    return high


def cheapest_finish(plan: Plan) -> float:
    """What the plan costs at most if every step takes the choice whose worst case is least."""
    return sum(min(choice.most for choice in step) for step in plan)


def quickest_finish(plan: Plan) -> float:
    """How long the plan takes at most if every step takes the quickest choice."""
    return sum(min(choice.seconds for choice in step) for step in plan)


def _expected(plan: Plan, price: float) -> float:
    return sum(_best(step, price).cost for step in plan)


def _best(step: Sequence[Choice], price: float) -> Choice:
    """The best choice at a price; of equals the cheaper one."""
    if price == inf:
        return min(step, key=lambda choice: (choice.cost, -choice.success))
    return max(step, key=lambda choice: (_worth(choice, price), -choice.cost))


def _worth(choice: Choice, price: float) -> float:
    return log(max(choice.success, _LEAST)) - price * choice.cost
