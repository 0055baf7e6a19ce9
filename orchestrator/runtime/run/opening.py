"""From a task in the ledger, new or resumed, to a run with its rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from orchestrator.budgets.purse import Purse
from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.money import Money
from orchestrator.ledger.records import TaskHistory, TaskRecord
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import LimitSettings, extended
from orchestrator.policy.records import AgentPolicy
from orchestrator.pricing.currency import day_of
from orchestrator.runtime.run.outlay import Outlay
from orchestrator.runtime.run.results import attempt_of
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.shared.services import Services
from orchestrator.runtime.storage.journal import Journal


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
    limits = _lowered(policy.limits, opening.timeout_s)
    began = day_of(opening.at)
    rules = _lowered_rules(_since(policy.budgets, began), opening.budget)
    if parent is not None:
        limits = _tighter_limits(limits, parent.policy.limits)
        rules = _tighter_rules(rules, _since(parent.policy.budgets, began))
    limits = extended(limits, record.extensions)
    deadline = Deadline(
        services.clock,
        limits.timeout_s,
        already_s=record.running_s,
        parent=parent.deadline if parent else None,
        holder=task_id,
    )
    own = histories.get(task_id)
    return TaskRun(
        scope=opening.scope,
        epoch=record.epoch,
        policy=policy,
        limits=limits,
        rules=tuple(_raised(rule, record.added_budget) for rule in rules),
        services=services,
        journal=Journal() if own is None else Journal.from_history(own),
        gauge=Gauge(
            task_id,
            limits,
            deadline,
            parent=parent.gauge if parent else None,
            histories=histories,
        ),
        deadline=deadline,
        purse=Purse({} if own is None else _judging(own)),
        priority=parent.priority if parent else opening.priority or policy.priority,
        parent=parent,
        outlay=Outlay.of([] if own is None else [own]),
        committed=sum((_committed(history) for history in histories.values()), Money.ZERO),
    )


def _committed(history: TaskHistory) -> Money:
    return sum((attempt_of(record).cost for record in history.attempts), Money.ZERO)


def _judging(history: TaskHistory) -> dict[str, Money]:
    """What judging cost, by step; a judgement's retries share its key."""
    keys = {one.intent.key for one in history.attempts if one.intent.kind == "judge"}
    spent: dict[str, Money] = {}
    for record in history.attempts:
        if record.intent.key in keys:
            step = record.intent.step
            spent[step] = spent.get(step, Money.ZERO) + attempt_of(record).cost
    return spent


def _lowered(limits: LimitSettings, timeout_s: float | None) -> LimitSettings:
    """The limits with the task's own timeout, which can only lower the policy's."""
    if timeout_s is None or (limits.timeout_s is not None and limits.timeout_s <= timeout_s):
        return limits
    return replace(limits, timeout_s=timeout_s)


def _since(rules: tuple[BudgetRule, ...], day: date) -> tuple[BudgetRule, ...]:
    """The budgets, those of tasks in USD as they hold for one that began on ``day``."""
    return tuple(rule.on(day) if rule.scope == "task" else rule for rule in rules)


def _lowered_rules(rules: tuple[BudgetRule, ...], budget: Money | None) -> tuple[BudgetRule, ...]:
    """The budgets with the task's own amount, which can only lower the policy's."""
    if budget is None:
        return rules
    if not any(rule.scope == "task" for rule in rules):
        return (*rules, BudgetRule(scope="task", window="task", limit=budget))
    return tuple(
        _with_limit(rule, min(rule.limit, budget)) if rule.scope == "task" else rule
        for rule in rules
    )


def _raised(rule: BudgetRule, added: Money) -> BudgetRule:
    return _with_limit(rule, rule.limit + added) if rule.scope == "task" else rule


def _with_limit(rule: BudgetRule, limit: Money) -> BudgetRule:
    # The policy may keep more for the end now than it did when the task was given its budget.
    return replace(rule, limit=limit, finish_reserve=min(rule.finish_reserve, limit))


# What a task inside another has of its own must be tighter than what the policy gives the outer
# one: the rest binds it through the outer task, and is raised there when that is resumed.


def _tighter_rules(
    rules: tuple[BudgetRule, ...], outer: tuple[BudgetRule, ...]
) -> tuple[BudgetRule, ...]:
    bound = min((rule.limit for rule in outer if rule.scope == "task"), default=None)
    return tuple(
        rule for rule in rules if rule.scope != "task" or bound is None or rule.limit < bound
    )


def _tighter_limits(limits: LimitSettings, outer: LimitSettings) -> LimitSettings:
    unbounded = LimitSettings(attempt_timeout_s=limits.attempt_timeout_s)
    tighter: dict[str, Any] = {
        name: own
        for name, own in asdict(replace(limits, tools={})).items()
        if own and ((bound := getattr(outer, name)) is None or own < bound)
    }
    tools = {
        name: own for name, own in limits.tools.items() if own < outer.tools.get(name, own + 1)
    }
    return replace(unbounded, **tighter, tools=tools)
