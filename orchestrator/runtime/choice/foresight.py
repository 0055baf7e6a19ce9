"""What a task's limits are spent on: this ask, or what is still to come, by how such tasks went.

It only ever holds back. Who is asked is chosen by confidence; where that would leave too little for
the cheapest way to finish, or buys less than the same money buys later, somebody cheaper is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from orchestrator.core.money import NANO_PER_USD
from orchestrator.routing.finish import Choice, Plan
from orchestrator.routing.learning.courses import Courses, Stop
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.outlook import Outlook, Quoted, guesses, outlooks
from orchestrator.routing.plan import Pick, pick
from orchestrator.routing.prospects import prospects
from orchestrator.runtime.asking.actions import action_name
from orchestrator.runtime.run.patience import patiently

if TYPE_CHECKING:
    from orchestrator.runtime.asking.errand import Errand
    from orchestrator.runtime.run.task_run import TaskRun

TASKS = 50
"""How many of the newest completed tasks of the agent and its tenant are looked at."""
_SAME = 1 - 1e-9
"""What chances may differ by in rounding."""
_ACCEPT = ""
"""Name of the choice to ask nobody more."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What likely follows an ask.

    Attributes:
        run: The task.
        courses: How such tasks went.
        now: Where the task is.
        plan: What is still to come.
    """

    run: TaskRun
    courses: Courses
    now: Stop
    plan: Plan

    def heed(
        self,
        decided: str,
        expected: Sequence[Outlook],
        bounds: Mapping[str, float],
        settles_for: float | None,
    ) -> tuple[str | None, dict[str, Any]]:
        """Hold a choice against what is left for what is to come.

        Args:
            decided: The action that confidence chose.
            expected: What may be expected of each action.
            bounds: The worst case of each, in USD.
            settles_for: The worth of the reply that answers if nobody more is asked; ``None``: none
                does.

        Returns:
            The action to take, ``None`` for nobody more, and what was seen, to explain it.
        """
        choices = {one.action: self._choice(one, bounds[one.action]) for one in expected}
        if settles_for is not None:
            choices[_ACCEPT] = Choice(name=_ACCEPT, success=settles_for, cost=0, most=0, spread=0)
        left, seconds = self.run.money_left(), self.run.deadline.remaining_s
        money = inf if left is None else left.nano / NANO_PER_USD
        to_come = prospects([[step] for step in self.plan], money)[-1]
        if to_come.seconds > seconds:
            seconds = inf  # no choice here makes it last
        found = pick(list(choices.values()), to_come, money, seconds=seconds)
        best = found.choice
        chosen = decided
        if best is not None:
            # Where money buys nothing later, there is nothing to hold it back for.
            later = [to_come.chance(one, money) for one in (choices[decided], best)]
            if decided not in found.fitting or later[0] < later[1] * _SAME:
                chosen = best.name
        names = {one.action: one.name for one in expected}
        noted = self._noted(found, names, decided if chosen != decided else None)
        takes = to_come.seconds if self.run.deadline.remaining_s < inf else None
        return chosen or None, noted | {"seconds": takes, "in_hand": settles_for}

    def _choice(self, one: Outlook, bound: float) -> Choice:
        cost = bound if one.cost == inf else one.cost
        taken = self.courses.taken.get(self.now, {}).get(one.name)
        known = None if taken is None else taken.choice(one.action, one.quality)
        return Choice(
            name=one.action,
            success=one.quality,
            cost=cost,
            most=max(bound, cost),
            seconds=0.0 if known is None else known.seconds,
            spread=None if known is None else known.spread,
        )

    def _noted(
        self, found: Pick, names: Mapping[str, str], instead_of: str | None
    ) -> dict[str, Any]:
        return {
            "stops": len(self.plan),
            "finish": found.finish,
            "price": None if found.price == inf else found.price,
            "leave_too_little": [
                name for action, name in names.items() if action not in found.fitting
            ],
            "instead_of": None if instead_of is None else names[instead_of],
        }


async def ahead_of(errand: Errand, knowledge: Knowledge) -> Ahead | None:
    """What likely follows an ask; ``None``: nothing limits it, or too few such tasks are known.

    Raises:
        LedgerUnavailable: If that cannot be read.
    """
    run, request = errand.run, errand.request
    has_limit = run.money_left() is not None or run.deadline.remaining_s < inf
    if not has_limit or request.finish:
        return None
    page = await run.services.coursebook.page(
        run,
        lambda: patiently(run, lambda: run.ledger.courses(run.scope, TASKS), place=errand.place),
    )
    before = page.asked.setdefault(request.step, _asked_before(run, request.step))
    before.add(errand.key)
    now = Stop(is_own=True, step=request.step, is_asked=True)

    def chances(stop: Stop, costs: Mapping[str, float]) -> Mapping[str, float]:
        return _chances(run, knowledge, stop, costs)

    plan = page.courses.ahead(now, len(before) - 1, chances)
    return None if plan is None else Ahead(run, page.courses, now, plan)


def _asked_before(run: TaskRun, step: str) -> set[str]:
    """The keys of what earlier lives of the task asked of models."""
    return {
        key
        for key, one in run.journal.decisions.items()
        if one.step == step and not any(each.from_memo for each in run.journal.replies.get(key, ()))
    }


def _chances(
    run: TaskRun, knowledge: Knowledge, stop: Stop, costs: Mapping[str, float]
) -> Mapping[str, float]:
    """How likely each model's reply is right at a stop: learned there, or else the dearer."""
    models = run.policy.models
    quoted = [
        Quoted(action=action_name(models[name]) if name in models else name, name=name, cost=cost)
        for name, cost in sorted(costs.items(), key=lambda item: item[1])
    ]
    key = knowledge.newest.get((run.scope.agent, stop.step))
    if not stop.is_own or key is None:
        guessed = guesses(quoted)
        return {one.name: guessed[one.action] for one in quoted}
    return {one.name: one.quality for one in outlooks(knowledge, key, quoted, None)}
