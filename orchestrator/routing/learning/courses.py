"""What is still to come in a task, by the courses that such tasks took.

Of the completed tasks that asked a step as often as this one, each says what followed. Ordered by
what that needs at the least, the one that 9 in 10 stay within is the plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import fmean
from typing import Any, NamedTuple

from orchestrator.core.money import NANO_PER_USD
from orchestrator.ledger.courses import Spent
from orchestrator.routing.finish import Choice, Plan, Step, cheapest_finish

ENOUGH = 20
"""From how many such tasks on their courses tell something."""
SHARE = 0.9
"""The share of such tasks that may need no more than what is planned for."""

_FIRST = ("ask", "escalation")
_BESIDE = ("agreement", "judge")
_FIXED = ("tool", "resource")


class Stop(NamedTuple):
    """What comes once in a course.

    Attributes:
        is_own: Whether the task itself came there, not a task inside it.
        step: The step; of a tool or resource its name.
        is_asked: Whether models are asked, so that there is something to choose.
    """

    is_own: bool
    step: str
    is_asked: bool


Chances = Callable[[Stop, Mapping[str, float]], Mapping[str, float]]
"""For a stop and the mean cost of each model there, in USD: how likely each of them will do."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one way to do something took, in USD and seconds; each list has an item per time."""

    costs: Sequence[float]
    most: float
    seconds: Sequence[float]

    def choice(self, name: str, success: float) -> Choice:
        """It as a choice of a plan."""
        mean = fmean(self.costs)
        return Choice(
            name=name,
            success=success,
            cost=mean,
            most=max(self.most, mean),
            seconds=_upper(self.seconds),
            spread=sqrt(fmean([(cost - mean) ** 2 for cost in self.costs])),
        )


@dataclass(slots=True)
class Courses:
    """The courses of an agent's completed tasks.

    Attributes:
        tasks: For each, where it came, in order.
        taken: What each way to do it took: per stop and model.
    """

    tasks: list[list[Stop]]
    taken: dict[Stop, dict[str, Taken]]

    @classmethod
    def of(cls, spent: Sequence[Spent]) -> Courses:
        """Tell apart where tasks came, and what each ask took with its retries and checks."""
        tasks: dict[str, dict[tuple[Stop, str], None]] = defaultdict(dict)
        asks: dict[Stop, dict[str, dict[tuple[str, str], list[Spent]]]] = defaultdict(dict)
        beside: dict[Stop, list[Spent]] = defaultdict(list)
        for number, one in enumerate(spent):
            if one.kind in _BESIDE:
                beside[Stop(one.is_own, one.step, is_asked=True)].append(one)
                continue
            if one.kind not in (*_FIRST, "retry", *_FIXED):
                continue
            is_asked = one.kind not in _FIXED
            stop = Stop(one.is_own, one.step if is_asked else one.model, is_asked)
            ask = one.key if is_asked else str(number)
            tasks[one.task_id].setdefault((stop, ask))
            ways = asks[stop].setdefault(one.model, {})
            ways.setdefault((one.task_id, ask), []).append(one)
        taken = {
            stop: {
                model: _taken(list(each.values()), _each(beside[stop], ways))
                for model, each in ways.items()
            }
            for stop, ways in asks.items()
        }
        return cls([[stop for stop, _ in course] for course in tasks.values()], taken)

    def ahead(self, now: Stop, nth: int, chances: Chances) -> Plan | None:
        """What likely follows once a task comes to a stop.

        Args:
            now: Where it is.
            nth: How often it was there before.
            chances: For a stop and the mean cost of each model there: how likely each will do.

        Returns:
            What `SHARE` of such tasks stayed within; ``None``: too few went so far.
        """
        rests = []
        for course in self.tasks:
            places = [place for place, stop in enumerate(course) if stop == now]
            if len(places) > nth:
                rests.append(tuple(course[places[nth] + 1 :]))
        if len(rests) < ENOUGH:
            return None
        stops = dict.fromkeys(stop for rest in rests for stop in rest)
        steps = {stop: self._choices(stop, chances) for stop in stops}
        plans = {rest: [steps[stop] for stop in rest] for rest in rests}
        needs = {rest: (cheapest_finish(plan), len(plan)) for rest, plan in plans.items()}
        rests.sort(key=needs.__getitem__)
        return plans[rests[min(ceil(SHARE * (len(rests) + 1)), len(rests)) - 1]]

    def _choices(self, stop: Stop, chances: Chances) -> Step:
        ways = self.taken[stop]
        likely: Mapping[str, float] = {}
        if stop.is_asked:
            likely = chances(stop, {name: fmean(taken.costs) for name, taken in ways.items()})
        return [taken.choice(name, likely.get(name, 1.0)) for name, taken in ways.items()]


def _each(checks: Sequence[Spent], ways: Mapping[str, Mapping[Any, Any]]) -> float:
    """What checks cost each ask: they are paid by whichever model replied."""
    return _usd(sum(one.cost for one in checks)) / sum(map(len, ways.values()))


def _taken(asks: Sequence[Sequence[Spent]], checks: float) -> Taken:
    return Taken(
        costs=[_usd(sum(one.cost for one in ask)) + checks for ask in asks],
        most=_usd(max(one.reserve for ask in asks for one in ask)) + checks,
        seconds=[sum(one.seconds for one in ask) for ask in asks],
    )


def _upper(seconds: Sequence[float]) -> float:
    return sorted(seconds)[min(ceil(SHARE * len(seconds)), len(seconds)) - 1]


def _usd(nano: int) -> float:
    return nano / NANO_PER_USD
