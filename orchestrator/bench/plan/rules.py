"""How to choose a model for each step of a plan: our rule, and what it must be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from orchestrator.routing.finish import Choice
from orchestrator.routing.plan import pick
from orchestrator.routing.prospects import Prospect

THRESHOLDS = (0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a rule may look at.

    Attributes:
        now: The choices of this step, cheapest first.
        left: The money left.
        steps: How many steps are left, with this one.
        ahead: What the plan rule expects of no step to come, of one, and so on.
        unkept: The same if nothing is kept for the cheapest finish.
    """

    now: Sequence[Choice]
    left: float
    steps: int
    ahead: Sequence[Prospect]
    unkept: Sequence[Prospect]


Rule = Callable[[Moment], Choice | None]
"""From a moment to a choice; `None`: halt."""


def plan(moment: Moment) -> Choice | None:
    """The rule of `routing.plan`."""
    return pick(moment.now, moment.ahead[moment.steps - 1], moment.left).choice


def plan_that_may_halt(moment: Moment) -> Choice | None:
    """The same without its hard rule: what that costs."""
    return pick(moment.now, moment.unkept[moment.steps - 1], moment.left).choice


def even_split(moment: Moment) -> Choice | None:
    """The strongest model whose expected cost is within an even share of what is left."""
    share = moment.left / moment.steps
    return max(
        (one for one in moment.now if one.cost <= share and one.most <= moment.left),
        key=lambda choice: choice.cost,
        default=moment.now[0],
    )


def all_cheapest(moment: Moment) -> Choice | None:
    """The cheapest model at each step."""
    return moment.now[0]


def all_strongest(moment: Moment) -> Choice | None:
    """The dearest model at each step."""
    return moment.now[-1]


def threshold(confidence: float) -> Rule:
    """The cheapest model whose chance reaches a threshold, else the strongest; money regardless."""

    def rule(moment: Moment) -> Choice | None:
        reaching = (choice for choice in moment.now if choice.success >= confidence)
        return next(reaching, moment.now[-1])

    return rule


def threshold_within(confidence: float) -> Rule:
    """The same among the models that still fit, so that it halts as late as it can."""
    fixed = threshold(confidence)

    def rule(moment: Moment) -> Choice | None:
        fitting = [choice for choice in moment.now if choice.most <= moment.left]
        return fixed(replace(moment, now=fitting)) if fitting else None

    return rule


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "plan": plan,
        "plan_that_may_halt": plan_that_may_halt,
        "even_split": even_split,
        **{f"fixed_threshold_{at}": threshold(at) for at in THRESHOLDS},
        **{f"fixed_threshold_{at}_that_fits": threshold_within(at) for at in THRESHOLDS},
        "all_cheapest": all_cheapest,
        "all_strongest": all_strongest,
    }
)
