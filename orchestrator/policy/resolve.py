"""A judged document as the settings that other rooms work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from orchestrator.budgets.rules import BudgetRule, ForeignBudget
from orchestrator.core.money import Money
from orchestrator.core.scope import SCOPE_KINDS, ScopeKind
from orchestrator.limits.settings import LimitSettings
from orchestrator.limits.tools import ToolSettings, ToolTable
from orchestrator.memo.settings import MemoSettings, MemoTable, StoreSettings
from orchestrator.models.rates import RateSettings
from orchestrator.models.settings import ModelSettings
from orchestrator.policy.amounts import NOTHING, Amount
from orchestrator.policy.currencies import rates_of
from orchestrator.policy.documents.audits import AuditsDocument
from orchestrator.policy.documents.budgets import (
    BudgetDocument,
    BudgetsDocument,
    TaskBudgetDocument,
)
from orchestrator.policy.documents.lanes import LaneDocument, RateDocument
from orchestrator.policy.documents.memo import MemoHomeDocument
from orchestrator.policy.documents.models import ModelDocument
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.documents.steps import MemoDocument, StepDocument
from orchestrator.policy.documents.tools import ResourceDocument, ToolDocument
from orchestrator.policy.executed import read_tests
from orchestrator.policy.origins import origins_of
from orchestrator.policy.records import AgentPolicy, AuditSettings
from orchestrator.policy.tree import Node
from orchestrator.pricing.currency import Foreign, Rates
from orchestrator.pricing.resources import ResourcePrice
from orchestrator.pricing.staleness import StalePrice
from orchestrator.routing.admission import LaneSettings
from orchestrator.routing.settings import ExecutionCheck, StepSettings, StepTable


def resolve(document: PolicyDocument, root: Node) -> AgentPolicy:
    """Put the settings together; ``document``, read from ``root``, has passed all checks."""
    keep = document.keep_bodies
    rates = rates_of(document)
    return AgentPolicy(
        org=document.org,
        team=document.team,
        cost_center=document.cost_center,
        models={name: _model(name, model, rates) for name, model in document.models.items()},
        budgets=_budgets(document.budgets, rates),
        limits=_limits(document),
        # Sorted, because the order of steps means nothing and the digest must not show it.
        steps=StepTable(
            {name: _step(step, name, root) for name, step in sorted(document.steps.items())}
        ),
        memos=_memos(document),
        upkeep=_upkeep(document.memo, rates),
        audits=_audits(document.audits, rates),
        memo_store=document.memo_store,
        memo_limits=_memo_limits(document.memo),
        tools=ToolTable(
            {name: _tool(tool, rates) for name, tool in sorted(document.tools.items())}
        ),
        resources={name: _resource(one, rates) for name, one in sorted(document.resources.items())},
        unknown_price=document.unknown_price,
        stale_price=stale_price(document),
        server_errors=document.server_errors,
        keep_bodies=None if keep is None else timedelta(seconds=keep),
        durability=document.durability,
        priority=document.priority,
        lanes={name: _lane(lane) for name, lane in sorted(document.lanes.items())},
        rates={name: _rate(rate) for name, rate in sorted(document.rates.items())},
    )


def stale_price(document: PolicyDocument) -> StalePrice | None:
    """How old a price may be; ``None`` if nothing is said, or not all of it."""
    rule = document.stale_price
    if rule is None or rule.after is None:
        return None
    return StalePrice(after_s=rule.after, then=rule.then, checked=rule.checked)


def _model(name: str, model: ModelDocument, rates: Mapping[str, Rates]) -> ModelSettings:
    assert model.model is not None, "the cross-checks refuse a model without `model`"
    origins = origins_of(model, rates)
    return ModelSettings(
        name=name,
        model=model.model,
        api_base=origins[0].api_base,
        api_key_env=origins[0].api_key_env,
        region=origins[0].region,
        max_output_tokens=model.max_output_tokens,
        effort=model.effort,
        service_tier=model.service_tier,
        context_window=model.context_window,
        price=origins[0].price,
        rate=None if model.rate is None else _rate(model.rate),
        origin=origins[0].name or None,
        origins=origins if len(origins) > 1 else (),
    )


def _rate(rate: RateDocument) -> RateSettings:
    return RateSettings(requests=rate.requests, tokens=rate.tokens)


def _lane(lane: LaneDocument) -> LaneSettings:
    assert lane.concurrency is not None, "the cross-checks refuse a lane without `concurrency`"
    return LaneSettings(concurrency=lane.concurrency, queue=lane.queue, shares=lane.shares)


def _budgets(budgets: BudgetsDocument, rates: Mapping[str, Rates]) -> tuple[BudgetRule, ...]:
    rules = []
    for scope in SCOPE_KINDS:
        budget = getattr(budgets, scope)
        if budget is None:
            continue
        if isinstance(budget, TaskBudgetDocument):
            kept, likely = budget.finish_reserve, budget.likely_finish
            rule = _rule(
                budget.limit,
                rates,
                kept=kept,
                scope=scope,
                window="task",
                at=budget.at,
                likely_finish=likely,
            )
        else:
            rule = _windowed(budget, rates, scope)
        rules.append(rule)
    return tuple(rules)


def _windowed(budget: BudgetDocument, rates: Mapping[str, Rates], scope: ScopeKind) -> BudgetRule:
    return _rule(
        budget.limit,
        rates,
        rate_of=budget.rate_of,
        scope=scope,
        window=budget.per,
        timezone=budget.timezone,
        at=budget.at,
    )


def _rule(
    limit: Amount | None,
    rates: Mapping[str, Rates],
    *,
    kept: Amount = NOTHING,
    rate_of: date | None = None,
    **rule: Any,  # noqa: ANN401 - the other fields of a rule
) -> BudgetRule:
    """A budget, in whichever currency it is stated."""
    assert limit is not None, "the cross-checks refuse a budget without `limit`"
    foreign = limit.by(rates)
    if foreign is None:
        return BudgetRule(
            limit=Money.from_usd(limit.number), finish_reserve=Money.from_usd(kept.number), **rule
        )
    reserve = Foreign(kept.number, foreign.rates) if kept.number else None
    return BudgetRule.stated(ForeignBudget(foreign, reserve, rate_of), **rule)


def _limits(document: PolicyDocument) -> LimitSettings:
    limits = document.limits
    return LimitSettings(
        timeout_s=limits.timeout,
        attempt_timeout_s=limits.attempt_timeout,
        model_calls=limits.model_calls,
        tool_calls=limits.tool_calls,
        tokens=limits.tokens,
        steps=limits.steps,
        repeats=limits.repeats,
        tools={
            name: tool.limit
            for name, tool in sorted(document.tools.items())
            if tool.limit is not None
        },
    )


def _resource(resource: ResourceDocument, rates: Mapping[str, Rates]) -> ResourcePrice:
    amount = resource.price if resource.flat is None else resource.flat
    assert amount is not None, "the cross-checks refuse a resource without a price"
    return ResourcePrice(amount.number, resource.over, rates.get(amount.currency))


def _tool(tool: ToolDocument, rates: Mapping[str, Rates]) -> ToolSettings:
    price: Money | Foreign | None = None
    if tool.price is not None:
        price = tool.price.by(rates) or Money.from_usd(tool.price.number)
    return ToolSettings(price=price, timeout_s=tool.timeout, limit=tool.limit, journal=tool.journal)


def _memos(document: PolicyDocument) -> MemoTable:
    home = document.memo
    sample = home.sample if home is not None and home.upkeep is not None else 0.0
    return MemoTable(
        {name: _memo(step.memo, sample) for name, step in sorted(document.steps.items())}
    )


def _upkeep(memo: MemoHomeDocument | None, rates: Mapping[str, Rates]) -> BudgetRule | None:
    budget = None if memo is None else memo.upkeep
    return None if budget is None else _windowed(budget, rates, "upkeep")


def _audits(audits: AuditsDocument | None, rates: Mapping[str, Rates]) -> AuditSettings | None:
    if audits is None or audits.budget is None or not audits.rate:
        return None
    return AuditSettings(rate=audits.rate, budget=_windowed(audits.budget, rates, "upkeep"))


def _memo_limits(memo: MemoHomeDocument | None) -> StoreSettings:
    if memo is None:
        return StoreSettings()
    return StoreSettings(size_limit_bytes=memo.size, max_age_s=memo.max_age)


def _memo(memo: MemoDocument | None, sample: float) -> MemoSettings | None:
    if memo is None or memo.fresh_for is None:
        return None
    return MemoSettings(
        fresh_for_s=memo.fresh_for,
        stale_for_s=memo.stale_for,
        stale_if_error_s=memo.stale_if_error,
        share=memo.share,
        reads=tuple(sorted(memo.reads)),
        labels=memo.labels,
        rerun_rate=sample,
    )


def _step(step: StepDocument, name: str, root: Node) -> StepSettings:
    checks: dict[str, Any] = {}
    for index, check in enumerate(step.checks):
        if isinstance(check, ExecutionCheck):
            code = read_tests(root, name, index, check.file)
            checks[check.name] = replace(check, code=code)
        elif not isinstance(check, str):
            checks[check.name] = check
    return StepSettings(
        confidence=step.confidence,
        models=step.models,
        checks=tuple(check if isinstance(check, str) else check.name for check in step.checks),
        below_threshold=step.below_threshold,
        lane=step.lane,
        timeout_s=step.timeout,
        latency_price=step.latency_price,
        **checks,
    )
