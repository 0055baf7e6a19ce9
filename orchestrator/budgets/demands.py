"""What one attempt asks of every budget it counts on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from orchestrator.budgets.rules import BudgetRule
from orchestrator.budgets.windows import in_force
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import Demand

LEFT_TO_OTHERS = 5
"""One part in this many of a budget is out of reach of who gives way."""


def demands(
    rules: Iterable[BudgetRule],
    scope: Scope,
    now: datetime,
    *,
    finish: bool,
    inherited: Iterable[Demand] = (),
) -> tuple[Demand, ...]:
    """What one attempt of ``scope`` asks at ``now``, one demand per account.

    Args:
        rules: The budgets of the policy; one whose holder the scope lacks asks nothing.
        scope: Who spends.
        now: When, aware.
        finish: Whether the step may draw on the ``finish_reserve``.
        inherited: Demands on the budgets of the tasks this one runs inside.

    Returns:
        In order of account keys: every process takes accounts in the same order, so that no two
        can wait for each other. Where several budgets fall on one account, the tightest.

    Raises:
        ValueError: If ``now`` has no time zone.
    """
    tightest: dict[str, Demand] = {}
    for demand in (*_own(rules, scope, now, finish=finish), *inherited):
        key = demand.account.key
        if key not in tightest or _room(demand) < _room(tightest[key]):
            tightest[key] = demand
    return tuple(tightest[key] for key in sorted(tightest))


def giving_way(asked: Iterable[Demand]) -> tuple[Demand, ...]:
    """The same demands of one who gives way to everybody else: what a memo asks anew.

    It never waits, so that no one queues behind it, and it leaves the last part of every budget,
    its own excepted, to those who need an answer.
    """
    return tuple(
        replace(
            demand,
            may_wait=False,
            withheld=demand.withheld
            if demand.account.kind == "upkeep"
            else max(demand.withheld, Money(demand.limit.nano // LEFT_TO_OTHERS)),
        )
        for demand in asked
    )


def _own(
    rules: Iterable[BudgetRule], scope: Scope, now: datetime, *, finish: bool
) -> Iterable[Demand]:
    for rule in rules:
        found = in_force(rule, scope, now)
        if found is not None:
            account, held = found
            withheld = Money.ZERO if finish else held.finish_reserve
            yield Demand(account, held.serves, withheld)


def _room(demand: Demand) -> Money:
    return demand.limit - demand.withheld
