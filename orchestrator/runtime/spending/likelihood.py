"""Whether a step is worth starting: what such tasks still cost from here on, by the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.runtime.run.patience import patiently
from orchestrator.runtime.spending.granting import asked

if TYPE_CHECKING:
    from orchestrator.runtime.run.places import Place
    from orchestrator.runtime.run.request import AskRequest
    from orchestrator.runtime.run.task_run import TaskRun

TASKS = 200
"""How many of the newest completed tasks of the agent and its tenant are looked at."""
ENOUGH = 20
"""From how many of them on they tell something; before, only the worst case of each call counts."""


async def judge_start(run: TaskRun, request: AskRequest, place: Place) -> None:
    """Refuse the first ask of a step from which on the task would likely not finish.

    Raises:
        Halted: If it would not: nothing more is spent on what would be thrown away.
        LedgerUnavailable: If what such tasks cost cannot be read.
    """
    rule = next((one for one in run.rules if one.likely_finish is not None), None)
    left = run.money_left()
    if rule is None or rule.likely_finish is None or left is None:
        return
    if request.finish or run.outlay.has_asked(request.step):
        return
    share, step = rule.likely_finish, request.step
    rests = await patiently(run, lambda: run.ledger.rests(run.scope, step, TASKS), place=place)
    need = quantile(rests, share)
    if need is None or need <= left:
        return
    halt = Halt(
        reason="budget",
        scope="task",
        limit=rule.serves,
        spent=run.committed,
        step=step,
        holder=run.scope.task_id,
        detail=(
            f"From step {step!r} on, {share:.0%} of the agent's last {len(rests)} tasks needed up"
            f" to {need}, and {left} of {rule.serves} is left: resume with"
            f" add_budget='{(need - left).usd.normalize():f}' or more."
        ),
    )
    raise run.refuse(asked(run, halt, need), place)


def quantile(costs: Sequence[Money], share: float) -> Money | None:
    """The cost that ``share`` of such tasks stay within, itself not one too low by chance.

    The k-th smallest of n with k = ceil(share (n + 1)): a new task stays within it with a
    probability of at least ``share``. ``None`` if there are too few.
    """
    if len(costs) < ENOUGH:
        return None
    place = min(ceil(share * (len(costs) + 1)), len(costs))
    return sorted(costs, key=lambda cost: cost.nano)[max(place, 1) - 1]
