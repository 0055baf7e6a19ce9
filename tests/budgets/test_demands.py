"""What an attempt asks of its budgets, in one order for everyone."""

import itertools
from datetime import UTC, datetime

from orchestrator.budgets.demands import demands
from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import Account, Demand

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCOPE = Scope(
    org="acme", team="research", agent="planner", task_id="t1", tenant="research", user="u42"
)
TASK = BudgetRule(scope="task", window="task", limit=Money(1000), finish_reserve=Money(100))
RULES = (
    TASK,
    BudgetRule(scope="user", window="day", limit=Money(2000)),
    BudgetRule(scope="agent", window="day", limit=Money(3000)),
    BudgetRule(scope="team", window="month", limit=Money(4000), timezone="Europe/Berlin"),
    BudgetRule(scope="org", limit=Money(5000)),
)
PATH = [
    "agent|acme/research/planner|day@UTC:2026-11-22",
    "org|acme|total",
    "task|t1|task",
    "team|acme/research|month@Europe/Berlin:2026-11",
    "user|acme/research/u42|day@UTC:2026-11-22",
]


def test_every_budget_of_the_path_is_asked():
    asked = demands(RULES, SCOPE, NOW, finish=False)

    assert [demand.account.key for demand in asked] == PATH
    assert [demand.limit.nano for demand in asked] == [3000, 5000, 1000, 4000, 2000]


def test_the_order_is_the_same_whatever_the_order_of_rules():
    """Two that took accounts in different orders could wait for each other for ever."""
    for rules in itertools.permutations(RULES):
        assert [d.account.key for d in demands(rules, SCOPE, NOW, finish=False)] == PATH


def test_a_budget_without_a_holder_is_not_asked():
    nobody = Scope(org="acme", team="research", agent="planner", task_id="t1", tenant="research")

    assert len(demands(RULES, nobody, NOW, finish=False)) == len(RULES) - 1


def test_the_finish_reserve_is_withheld_from_all_but_a_finishing_step():
    assert demands([TASK], SCOPE, NOW, finish=False)[0].withheld == Money(100)
    assert demands([TASK], SCOPE, NOW, finish=True)[0].withheld == Money.ZERO


def test_a_child_counts_on_the_budgets_of_the_tasks_around_it():
    """Elsewhere sub-agents escaped the limits of their parent."""
    around = demands([TASK], SCOPE, NOW, finish=False)
    child = Scope(
        org="acme",
        team="research",
        agent="searcher",
        task_id="t1-child",
        tenant="research",
        ancestors=("t1",),
    )
    asked = demands([TASK], child, NOW, finish=False, inherited=around)

    assert [demand.account.key for demand in asked] == ["task|t1-child|task", "task|t1|task"]


def test_of_budgets_on_one_account_the_tightest_counts():
    org = Account("org", "acme", "total")
    rules = [
        BudgetRule(scope="org", limit=Money(500)),
        BudgetRule(scope="org", limit=Money(400)),
        BudgetRule(scope="org", limit=Money(450)),
    ]

    assert demands(rules, SCOPE, NOW, finish=False) == (Demand(org, Money(400)),)
    tighter = Demand(org, Money(600), withheld=Money(300))
    assert demands(rules, SCOPE, NOW, finish=False, inherited=[tighter]) == (tighter,)


def test_without_budgets_nothing_is_asked():
    assert demands([], SCOPE, NOW, finish=False) == ()
