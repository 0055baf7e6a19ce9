"""A halt says what was short and what to change."""

from datetime import UTC, datetime

from orchestrator.budgets.halts import budget_halt
from orchestrator.core.money import Money
from orchestrator.ledger.records import Account, Balance, Demand
from orchestrator.ledger.refusals import BudgetShort

USED = Balance(settled=Money(150_000_000), reserved=Money(50_000_000), disputed=Money(40_000_000))
QUARTER = Money.from_usd("0.25")
NEED = Money.from_usd("0.0123")


def test_a_tasks_halt_says_how_much_to_add():
    short = BudgetShort(Demand(Account("task", "t1", "task"), QUARTER), USED)
    halt = budget_halt(short, need=NEED, step="answer")

    assert (halt.reason, halt.scope, halt.step) == ("budget", "task", "answer")
    assert (halt.limit, halt.spent) == (QUARTER, Money(240_000_000))
    assert halt.detail == (
        "Step 'answer' needs $0.0123 for one attempt; $0.01 of $0.25 is left in the task budget "
        "of t1: resume with add_budget='0.0023' or more."
    )


def test_what_is_kept_for_finishing_is_not_left_but_said():
    demand = Demand(Account("task", "t1", "task"), QUARTER, withheld=Money.from_usd("0.02"))
    halt = budget_halt(BudgetShort(demand, USED), need=Money.from_usd(10), step="answer")

    assert "$0.00 of $0.25 is left" in halt.detail
    assert "$0.02 more is kept for a finish=True step" in halt.detail
    assert "add_budget='10'" in halt.detail, "never in powers of ten"


def test_the_halt_of_a_window_says_when_it_ends():
    ends_at = datetime(2026, 11, 30, 23, tzinfo=UTC)
    account = Account("team", "acme/research", "month@Europe/Berlin:2026-11", None, ends_at)
    halt = budget_halt(BudgetShort(Demand(account, QUARTER), USED), need=NEED, step="plan")

    assert halt.scope == "team"
    assert "team budget of acme/research" in halt.detail
    assert "raise it in the policy, or resume when its window ends at 2026-11-30 23:00 UTC" in (
        halt.detail
    )


def test_the_halt_of_a_total_says_to_raise_it():
    demand = Demand(Account("org", "acme", "total"), QUARTER)
    halt = budget_halt(BudgetShort(demand, USED), need=NEED, step="plan")

    assert halt.detail.endswith("raise it in the policy, then resume.")
