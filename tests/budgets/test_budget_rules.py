"""A budget as a policy states it, and what a task may spend beside its work."""

import pytest

from orchestrator.budgets.demands import giving_way
from orchestrator.budgets.purse import Purse
from orchestrator.budgets.rules import BudgetRule, Threshold
from orchestrator.core.money import Money
from orchestrator.ledger.records import Account, Demand

NOTIFY, HALT, ASK = Threshold(8_000, "notify"), Threshold(9_550, "halt"), Threshold(10_000, "ask")


@pytest.mark.parametrize(("threshold", "said"), [(NOTIFY, "80%"), (HALT, "95.5%"), (ASK, "100%")])
def test_a_threshold_is_said_as_a_policy_writes_it(threshold: Threshold, said: str):
    assert str(threshold) == said


def test_a_share_is_rounded_down_so_that_it_is_never_noticed_too_late():
    assert NOTIFY.of(Money(9)) == Money(7)
    assert ASK.of(Money(9)) == Money(9)


def test_a_budget_serves_up_to_its_lowest_halt():
    limit = Money(1_000)
    halts = BudgetRule(scope="team", limit=limit, at=(NOTIFY, HALT, Threshold(9_800, "halt")))
    asks = BudgetRule(scope="task", limit=limit, at=(NOTIFY, ASK))

    assert (halts.serves, halts.asks, halts.watched) == (Money(955), False, (NOTIFY,))
    assert (asks.serves, asks.asks, asks.watched) == (limit, True, (NOTIFY,))


def test_only_a_halt_lowers_what_a_budget_serves():
    economizes = Threshold(5_000, "economize")
    rule = BudgetRule(scope="team", limit=Money(1_000), at=(economizes, NOTIFY, ASK))

    assert rule.serves == Money(1_000)


@pytest.mark.parametrize("scope", ["org", "team", "agent", "user", "upkeep"])
def test_only_a_task_has_the_window_of_a_task(scope):
    with pytest.raises(ValueError, match="has the window 'task'"):
        BudgetRule(scope=scope, limit=Money(1), window="task")


def test_who_gives_way_leaves_a_fifth_of_a_budget_to_the_others():
    account = Account("team", "acme/research", "total")
    asked = [Demand(account, Money(1_000)), Demand(account, Money(1_000), withheld=Money(300))]

    left = [one.withheld for one in giving_way(asked)]
    assert left == [Money(200), Money(300)]
    assert not any(one.may_wait for one in giving_way(asked))


def test_a_purse_holds_bounds_and_keeps_what_was_spent_by_name():
    purse = Purse({"audit": Money(40)})
    limit = Money(100)

    assert purse.take("audit", Money(60), limit), "to the last nano-dollar"
    assert not purse.take("audit", Money(1), limit)
    assert purse.take("judge", Money(100), limit), "each name has its own"
    purse.settle("audit", Money(60), Money(10))
    assert not purse.take("audit", Money(51), limit)
    assert purse.take("audit", Money(50), limit)
