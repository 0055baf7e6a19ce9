"""What each budget and each stop rule would have cost and kept on recorded runs.

A rule is judged on runs as they happened: it stops a run and keeps what was spent until then, and a
run that it stopped has failed. What an agent would have done otherwise, had it known its budget,
no recording can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from orchestrator.bench.plan.traces import Run
from orchestrator.core.money import Money

QUANTILES = (0.5, 0.8, 0.9, 0.95, 1.0)
"""Which quantile of the cost, or of the length, of successful runs a learned rule stops at."""
_DECILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_DRAWS = 20
"""Random halves of the tasks that a learned rule is fitted on; the other half is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a rule would have cost and kept, in all runs together.

    Attributes:
        rule: Its name.
        at: Where it stops: an amount or a number of steps; a mean over draws where it is learned.
        cost: What it would have cost, per run.
        cost_share: That in relation to what was spent.
        kept: The share of the successful runs that it keeps.
        stopped: The share of all runs that it stops.
        per_success: Cost for each success; `None` without any.
    """

    rule: str
    at: str
    cost: Money
    cost_share: float
    kept: float
    stopped: float
    per_success: Money | None


Cut = Callable[[Run], int]
"""From a run to how many of its steps a rule lets happen."""


def within(limit: Money) -> Cut:
    """A budget: a step that would exceed it does not happen.

    A real budget also needs room for the reserve of a call, which no recording holds.
    """
    return lambda run: sum(spent <= limit for spent in run.spent)


def at_most(steps: int) -> Cut:
    """A limit on steps."""
    return lambda run: min(steps, len(run.spent))


def judge(rule: str, at: str, runs: Sequence[Run], cut: Cut) -> Kept:
    """What a rule would have cost and kept."""
    left = [cut(run) for run in runs]
    kept = [count == len(run.spent) for run, count in zip(runs, left, strict=True)]
    cost = sum(
        (run.spent[count - 1] for run, count in zip(runs, left, strict=True) if count), Money.ZERO
    )
    spent = sum((run.cost for run in runs), Money.ZERO)
    successes = sum(run.succeeded for run in runs)
    held = sum(run.succeeded and whole for run, whole in zip(runs, kept, strict=True))
    return Kept(
        rule=rule,
        at=at,
        cost=Money(round(cost.nano / len(runs))),
        cost_share=cost.nano / spent.nano if spent else 1.0,
        kept=held / successes if successes else 1.0,
        stopped=1 - sum(kept) / len(runs),
        per_success=Money(round(cost.nano / held)) if held else None,
    )


def learned(runs: Sequence[Run], quantile: float, seed: int = 0) -> tuple[Kept, Kept]:
    """A budget and a limit on steps at a quantile of successful runs, out of sample.

    The quantile is taken on a random half of the tasks, and the rule is judged on the other half;
    twenty times.

    Returns:
        The means for the budget, and for the limit on steps.
    """
    tasks = sorted({run.task for run in runs})
    source = Random(seed)  # noqa: S311 - a draw of tasks, and seeded
    budgets, limits = [], []
    for _ in range(_DRAWS):
        known = set(source.sample(tasks, len(tasks) // 2))
        good = [run for run in runs if run.task in known and run.succeeded]
        rest = [run for run in runs if run.task not in known]
        if not good or not rest:
            continue
        amount = Money(_quantile((run.cost.nano for run in good), quantile))
        steps = _quantile((len(run.spent) for run in good), quantile)
        budgets.append(judge("budget", str(amount), rest, within(amount)))
        limits.append(judge("steps", str(steps), rest, at_most(steps)))
    name = f"of successful runs, quantile {quantile:g}"
    return _mean(f"budget {name}", budgets), _mean(f"steps {name}", limits)


def _quantile(values: Iterable[int], quantile: float) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, ceil(quantile * len(ordered)) - 1)]


def _mean(rule: str, found: Sequence[Kept]) -> Kept:
    if not found:
        return Kept(
            rule=rule,
            at="no success to learn from",
            cost=Money.ZERO,
            cost_share=0.0,
            kept=0.0,
            stopped=1.0,
            per_success=None,
        )
    count = len(found)
    each = [kept.per_success.nano for kept in found if kept.per_success is not None]
    return Kept(
        rule=rule,
        at="learned",
        cost=Money(round(sum(kept.cost.nano for kept in found) / count)),
        cost_share=sum(kept.cost_share for kept in found) / count,
        kept=sum(kept.kept for kept in found) / count,
        stopped=sum(kept.stopped for kept in found) / count,
        per_success=Money(round(sum(each) / len(each))) if each else None,
    )


def rules(runs: Sequence[Run]) -> list[Kept]:
    """Every rule on the same runs, from spending everything to the tightest.

    Budgets and limits that are named lie at quantiles of all runs, for any table to show its range.
    """
    whole = judge("none", "", runs, lambda run: len(run.spent))
    amounts = sorted({_quantile((run.cost.nano for run in runs), q) for q in _DECILES})
    counts = sorted({_quantile((len(run.spent) for run in runs), q) for q in _DECILES})
    fitted = [learned(runs, quantile) for quantile in QUANTILES]
    return [
        whole,
        *(judge("budget", str(Money(nano)), runs, within(Money(nano))) for nano in amounts),
        *(judge("steps", str(count), runs, at_most(count)) for count in counts),
        *(budget for budget, _ in fitted),
        *(steps for _, steps in fitted),
    ]
