"""The record of one choice, as it is explained later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from orchestrator.core.halt import Halt, Seconds
from orchestrator.core.money import Money
from orchestrator.routing.learning.outlook import Outlook
from orchestrator.runtime.run.task_run import TaskRun


def stage_of(
    expected: Sequence[Outlook],
    bounds: Mapping[str, Money],
    chosen: str | None,
    *,
    money_left: Money | None,
    seconds_left: float,
    too_dear: Sequence[str],
) -> dict[str, Any]:
    """What was known when one action was chosen, or nobody.

    Args:
        expected: What was expected of each action.
        bounds: The worst case of each.
        chosen: The action; ``None``: nobody.
        money_left: What the task could still spend.
        seconds_left: How long it could still run.
        too_dear: Models whose worst case exceeded that.
    """
    return {
        "money_left": None if money_left is None else money_left.to_json(),
        "seconds_left": None if seconds_left == inf else round(seconds_left, 3),
        "too_dear": list(too_dear),
        "too_slow": [one.name for one in expected if one.least_s > seconds_left],
        "candidates": [_candidate(one, bounds[one.action]) for one in expected],
        "chosen": next((one.name for one in expected if one.action == chosen), None),
    }


def _candidate(one: Outlook, bound: Money) -> dict[str, Any]:
    return {
        "model": one.name,
        "action": one.action,
        "accepted": round(one.accepted, 4),
        "quality": round(one.quality, 4),
        "lower": round(one.lower, 4),
        "cost": None if one.cost == inf else one.cost,
        "cache": round(one.cache, 4),
        "warm": one.is_warm,
        "seconds": None if one.seconds is None else round(one.seconds, 3),
        "in_time": round(one.in_time, 4),
        "waiting": one.waiting,
        "bound": bound.to_json(),
        "seen": one.seen,
    }


def late_halt(run: TaskRun, step: str, expected: Sequence[Outlook]) -> Halt:
    """The halt of a step that nobody can answer in the time that is left."""
    halt = run.deadline.halt(step)
    soonest = min(expected, key=lambda one: one.least_s)
    left_s = round(run.deadline.remaining_s, 3)
    return Halt(
        reason=halt.reason,
        scope=halt.scope,
        limit=halt.limit,
        spent=halt.spent,
        step=step,
        holder=halt.holder,
        detail=(
            f"Step {step!r} was not begun: of the task's time of {halt.limit} {Seconds(left_s)} are"
            f" left, and less than one in ten of its calls ends within"
            f" {Seconds(round(soonest.least_s, 3))} ({soonest.name}). Resume with"
            " extend={'timeout': '5m'}, or for as long as it needs."
        ),
    )
