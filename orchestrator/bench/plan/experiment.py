"""Every rule on the same simulated plans, at every budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

from orchestrator.bench.plan.rules import RULES, Moment, Rule
from orchestrator.bench.plan.simulation import STEPS, SimulatedPlan, draw_plans, history
from orchestrator.routing.finish import Choice
from orchestrator.routing.prospects import Prospect, prospects

BUDGETS = (12.0, 14.0, 17.0, 20.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0)
"""In units of the simulation; all-cheapest costs 8.5, so that the third is twice that."""
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Ending:
    """How one plan ended."""

    succeeded: bool
    halted: bool
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a rule did with a budget; shares of all plans.

    Attributes:
        rule: Its name.
        budget: What each plan had.
        success: All steps succeeded.
        halted: The money did not suffice for the next call's reserve.
        cost: Spent per plan.
        less: Success less that of `plan` on the same plans, and half of its 95 % interval.
    """

    rule: str
    budget: float
    success: float
    halted: float
    cost: float
    less: tuple[float, float]


def run(
    plans: int,
    seed: int,
    budgets: Sequence[float] = BUDGETS,
    progress: Callable[[], None] = lambda: None,
) -> list[Figures]:
    """Simulate; the oracle and the random mix stand beside the rules.

    Args:
        plans: How many plans.
        seed: Which draw.
        budgets: What each plan may cost.
        progress: Told of each budget that is done.
    """
    drawn, usual = draw_plans(plans, seed), [history(seed)] * (STEPS - 1)
    found = []
    for budget in budgets:
        ahead = prospects(usual, budget), prospects(usual, budget, margin=-inf)
        endings = {
            name: [_follow(one, rule, budget, *ahead) for one in drawn]
            for name, rule in RULES.items()
        }
        endings["random_mix"] = [_mixed(one, budget, i) for i, one in enumerate(drawn)]
        endings["oracle"] = [_known(one, budget) for one in drawn]
        found += [_figures(name, budget, each, endings["plan"]) for name, each in endings.items()]
        progress()
    return found


def _follow(
    plan: SimulatedPlan,
    rule: Rule,
    budget: float,
    ahead: Sequence[Prospect] = (),
    unkept: Sequence[Prospect] = (),
) -> Ending:
    left, succeeded = budget, True
    for number, step in enumerate(plan):
        choice = rule(Moment(step.choices, left, len(plan) - number, ahead, unkept))
        if choice is None or choice.most > left:
            return Ending(succeeded=False, halted=True, cost=budget - left)
        model = step.choices.index(choice)
        left -= step.costs[model]
        succeeded = succeeded and step.works[model]
    return Ending(succeeded, halted=False, cost=budget - left)


def _mixed(plan: SimulatedPlan, budget: float, number: int) -> Ending:
    """Cheapest or strongest at random, as often as the budget allows on average."""
    low, high = (sum(step.choices[m].cost for step in plan) for m in (0, -1))
    share = min(max((budget - low) / (high - low), 0.0), 1.0)

    def rule(moment: Moment) -> Choice | None:
        # A low-discrepancy sequence: as many strong ones as the share says, spread over plans.
        place = (number * len(plan) + moment.steps) * 0.6180339887498949 % 1
        return moment.now[-1 if place < share else 0]

    return _follow(plan, rule, budget)


def _known(plan: SimulatedPlan, budget: float) -> Ending:
    """The cheapest model that will succeed at each step: what nobody can know beforehand."""
    costs = [
        min((cost for cost, works in zip(step.costs, step.works, strict=True) if works), default=0)
        for step in plan
    ]
    succeeded = all(any(step.works) for step in plan) and sum(costs) <= budget
    return Ending(succeeded, halted=False, cost=sum(costs) if succeeded else 0.0)


def _figures(
    rule: str, budget: float, endings: Sequence[Ending], plan: Sequence[Ending]
) -> Figures:
    count = len(endings)
    pairs = [a.succeeded - b.succeeded for a, b in zip(endings, plan, strict=True)]
    less = sum(pairs) / count
    variance = sum((pair - less) ** 2 for pair in pairs) / max(1, count - 1)
    return Figures(
        rule=rule,
        budget=budget,
        success=sum(each.succeeded for each in endings) / count,
        halted=sum(each.halted for each in endings) / count,
        cost=sum(each.cost for each in endings) / count,
        less=(less, _Z * sqrt(variance / count)),
    )
