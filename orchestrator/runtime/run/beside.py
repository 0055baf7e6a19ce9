"""Tasks that the runtime runs on its own account, beside the one that gave rise to them.

Such a task is of the same team, agent and user, and without the other's budget and limits: whoever
is answered waits for nothing and pays nothing. Its attempts are reserved on every budget around it
and on one of its own, and give way to whoever needs an answer.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.ids import new_task_id
from orchestrator.core.scope import UPKEEP
from orchestrator.ledger.records import AttemptKind, TaskClosing, TaskOpening, TaskRecord
from orchestrator.runtime.run.opening import open_run
from orchestrator.runtime.run.task_run import TaskRun


async def open_beside(
    asker: TaskRun, kind: AttemptKind, budget: BudgetRule, *, owner: str
) -> TaskRun:
    """Begin a task beside ``asker``.

    Args:
        asker: The run that gave rise to it.
        kind: What its attempts are called.
        budget: What it may spend besides.
        owner: Who runs it, as the ledger has it.
    """
    scope = asker.scope
    opening = TaskOpening(
        scope=replace(
            scope, task_id=new_task_id(), ancestors=(), tags={**scope.tags, UPKEEP: kind}
        ),
        owner=owner,
        graph=f"{owner} {kind}",
        policy="",
        input_type="",
        input_body=b"",
        at=asker.clock.now(),
        priority="low",
    )
    epoch = await asker.ledger.open_task(opening)
    record = TaskRecord(opening=opening, status="running", epoch=epoch, updated_at=opening.at)
    run = open_run(record, {}, asker.policy, asker.services, None)
    around = (rule for rule in run.rules if rule.scope != "task")
    run.rules = (*around, budget)
    return run


async def close_beside(run: TaskRun, error: BaseException | None) -> None:
    """End it once what it has on the wire has come to its end."""
    await run.land()
    await run.ledger.close_task(
        TaskClosing(
            task_id=run.scope.task_id,
            epoch=run.epoch,
            status="completed" if error is None else "failed",
            running_s=run.deadline.this_run_s,
            at=run.clock.now(),
            error=None if error is None else str(error),
        )
    )
