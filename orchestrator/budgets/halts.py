"""A budget that is short, as a halt that says what to change."""

from __future__ import annotations

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.ledger.refusals import BudgetShort


def budget_halt(short: BudgetShort, *, need: Money, step: str) -> Halt:
    """The halt of a task whose attempt a budget cannot serve.

    Args:
        short: What the ledger judged.
        need: The worst case of the attempt that was refused.
        step: The step that asked.
    """
    demand, balance = short.demand, short.balance
    account = demand.account
    whose = f"{account.kind} budget of {account.identity}"
    left = max(demand.limit - demand.withheld - balance.committed, Money.ZERO)
    kept = f" ({demand.withheld} more is kept for a finish=True step)" if demand.withheld else ""
    if account.kind == "task":
        advice = f"resume with add_budget='{(need - left).usd.normalize():f}' or more"
    elif account.ends_at is not None:
        until = f"{account.ends_at:%Y-%m-%d %H:%M} UTC"
        advice = f"raise it in the policy, or resume when its window ends at {until}"
    else:
        advice = "raise it in the policy, then resume"
    return Halt(
        reason="budget",
        scope=account.kind,
        limit=demand.limit,
        spent=balance.committed,
        step=step,
        holder=account.identity,
        detail=(
            f"Step {step!r} needs {need} for one attempt; {left} of {demand.limit} is left in the "
            f"{whose}{kept}: {advice}."
        ),
    )
