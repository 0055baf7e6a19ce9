"""How to spread what is left of a budget over the steps that are still to come.

A step's choices are compared by the chance that the whole plan succeeds: that of the step with it,
times that of all steps to come with the money it leaves. It is decided anew at every step, from
what was really spent and for the very case at hand.

A hard rule stands before that: whatever a step takes must leave enough for the cheapest way to
finish. If nothing leaves so much, what risks least is taken: a plan that may fail to finish has not
failed yet.

    ahead = prospects([[step] for step in steps_to_come], money_left)[-1]
    picked = pick(this_step, ahead, money_left)
    picked.choice        # None: nothing fits, the plan halts here

A reply in hand that could be accepted is one more choice:
``Choice(name="accept", success=..., cost=0, most=0)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

from orchestrator.routing.finish import Choice, Step, cheapest, is_within
from orchestrator.routing.prospects import LEAST, Prospect

_TIE = 9
"""Decimals up to which scores are told apart: below are errors of rounding, not a preference."""
_NONE = 1e-300
"""A chance that is none, so that it has a logarithm."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What to do at this step.

    Attributes:
        choice: What to take; `None`: nothing fits what is left, so nothing may start.
        price: The success of what is to come (in `log p`) that one unit less would take; 0 where
            there is enough for the best of everything.
        fitting: The names of all choices that leave enough for the cheapest finish.
        finish: What the cheapest finish after this step needs.
        scores: The ``log p`` of the whole plan with each choice that was compared.
    """

    choice: Choice | None
    price: float
    fitting: tuple[str, ...]
    finish: float
    scores: tuple[tuple[str, float], ...] = ()


def pick(now: Step, ahead: Prospect, budget: float, *, seconds: float = inf) -> Pick:
    """Choose for the next step of a plan.

    Args:
        now: Its choices.
        ahead: What may be expected of the steps after it.
        budget: The money left, in the unit of the costs; `inf`: no limit.
        seconds: The time left.

    Returns:
        The choice, and why; of equals the cheaper one.
    """
    possible = [c for c in now if is_within(c.most, budget) and c.seconds <= seconds]
    in_time = seconds - ahead.seconds
    fitting = [c for c in possible if is_within(ahead.needs(c), budget) and c.seconds <= in_time]
    among = fitting or ([cheapest(possible)] if possible else [])
    scores = [round(_score(choice, ahead, budget), _TIE) for choice in among]
    best = max(
        zip(among, scores, strict=True), key=lambda one: (one[1], -one[0].cost), default=None
    )
    return Pick(
        choice=best[0] if best else None,
        price=_price(best[0], ahead, budget) if best else inf,
        fitting=tuple(choice.name for choice in fitting),
        finish=ahead.finish.needed(),
        scores=tuple((choice.name, score) for choice, score in zip(among, scores, strict=True)),
    )


def _score(choice: Choice, ahead: Prospect, budget: float) -> float:
    return log(max(choice.success, LEAST)) + log(max(ahead.chance(choice, budget), _NONE))


def _price(choice: Choice, ahead: Prospect, budget: float) -> float:
    """What a cell less would take from the chance of what is to come, per unit."""
    now, less = (ahead.chance(choice, money) for money in (budget, budget - ahead.cell))
    return log(now / less) / ahead.cell if less > 0 else inf
