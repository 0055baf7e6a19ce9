"""From a task in the ledger, new or resumed, to a run with its rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.money import Money
from orchestrator.ledger.records import TaskHistory, TaskRecord
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import LimitSettings, extended
from orchestrator.policy.records import AgentPolicy
from orchestrator.runtime.journal import Journal
from orchestrator.runtime.services import Services
from orchestrator.runtime.task_run import TaskRun


def open_run(
    record: TaskRecord,
    histories: Mapping[str, TaskHistory],
    policy: AgentPolicy,
    services: Services,
    parent: TaskRun | None,
) -> TaskRun:
    """Put together a run of the task in ``record``: budgets, limits, journal and deadline.

    Args:
        record: The task as the ledger has it.
        histories: What it and the tasks inside it did before, by task id.
        policy: The rules of its agent.
        services: What it runs with.
        parent: The run it is a part of.
    """
    opening = record.opening
    task_id = opening.scope.task_id
    limits = extended(_lowered(policy.limits, opening.timeout_s), record.extensions)
    deadline = Deadline(
        services.clock,
        limits.timeout_s,
        already_s=record.running_s,
        parent=parent.deadline if parent else None,
    )
    history = histories.get(task_id)
    return TaskRun(
        scope=opening.scope,
        epoch=record.epoch,
        policy=policy,
        limits=limits,
        rules=_rules(policy.budgets, opening.budget, record.added_budget),
        services=services,
        journal=Journal() if history is None else Journal.from_history(history),
        gauge=Gauge(
            task_id,
            limits,
            deadline,
            parent=parent.gauge if parent else None,
            histories=histories,
        ),
        deadline=deadline,
        parent=parent,
    )


def _lowered(limits: LimitSettings, timeout_s: float | None) -> LimitSettings:
    """The limits with the task's own timeout, which can only lower the policy's."""
    if timeout_s is None or (limits.timeout_s is not None and limits.timeout_s <= timeout_s):
        return limits
    return replace(limits, timeout_s=timeout_s)


def _rules(
    rules: tuple[BudgetRule, ...], budget: Money | None, added: Money
) -> tuple[BudgetRule, ...]:
    """The budgets with the task's own amount: lowered by ``run``, raised by ``resume``."""
    if budget is not None and not any(rule.scope == "task" for rule in rules):
        rules = (*rules, BudgetRule(scope="task", window="task", limit=budget))
    return tuple(
        _task_rule(rule, budget, added) if rule.scope == "task" else rule for rule in rules
    )


def _task_rule(rule: BudgetRule, budget: Money | None, added: Money) -> BudgetRule:
    limit = (rule.limit if budget is None else min(rule.limit, budget)) + added
    return replace(rule, limit=limit, finish_reserve=min(rule.finish_reserve, limit))
