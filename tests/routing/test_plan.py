from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.plan import Choice, cheapest_finish, pick, price_of

CHEAP = Choice(name="cheap", success=0.6, cost=1, most=1.5, seconds=1)
MIDDLE = Choice(name="middle", success=0.8, cost=4, most=6, seconds=2)
DEAR = Choice(name="dear", success=0.95, cost=20, most=30, seconds=9)
STEP = (CHEAP, MIDDLE, DEAR)

choices = st.builds(
    lambda name, success, cost, more: Choice(
        name=name, success=success, cost=cost, most=cost * (1 + more)
    ),
    name=st.sampled_from("abcde"),
    success=st.floats(0, 1),
    cost=st.floats(0.01, 100),
    more=st.floats(0, 3),
)
plans = st.lists(st.lists(choices, min_size=1, max_size=4), min_size=1, max_size=6)


def test_with_money_enough_the_best_is_taken():
    found = pick([STEP] * 8, inf)
    assert (found.choice, found.price) == (DEAR, 0)


def test_what_a_step_takes_leaves_enough_for_the_cheapest_finish():
    found = pick([STEP] * 8, 16)
    assert found.finish == 7 * 1.5
    assert found.fitting == ("cheap",)
    assert pick([STEP] * 8, 16.5).fitting == ("cheap", "middle")


def test_nothing_starts_that_cannot_be_finished():
    assert pick([STEP] * 8, 11.9).choice is None
    assert pick([STEP] * 8, 12.0).choice == CHEAP
    assert pick([STEP] * 2, inf, seconds=1.5).choice is None


def test_the_reserve_gives_way_before_the_plan_does():
    assert pick([STEP] * 2, 3, reserve=10).choice == CHEAP
    assert pick([STEP] * 2, 8, reserve=10).fitting == ("cheap",)


def test_a_step_where_money_buys_nothing_leaves_it_to_the_others():
    easy = (CHEAP, Choice(name="dear", success=0.61, cost=20, most=20))
    hard = (Choice(name="cheap", success=0.1, cost=1, most=1), DEAR)
    assert pick([easy, hard], 32).choice == CHEAP
    assert pick([hard, easy], 32).choice == DEAR


def test_time_counts_like_money():
    assert pick([STEP, STEP], inf, seconds=3).fitting == ("cheap", "middle")


def test_a_plan_without_steps_is_none():
    with pytest.raises(ValueError, match="at least the step"):
        pick([], 1)


@given(plan=plans, budget=st.floats(0, 1000))
def test_following_the_picks_always_finishes_within_the_budget(plan, budget):
    left = budget
    if cheapest_finish(plan) > budget:
        assert pick(plan, budget).choice is None
        return
    for number in range(len(plan)):
        found = pick(plan[number:], left).choice
        assert found is not None
        left -= found.most
    assert left >= -1e-6


@given(plan=plans, budgets=st.tuples(st.floats(0, 1000), st.floats(0, 1000)))
def test_more_money_never_makes_money_dearer(plan, budgets):
    less, more = sorted(budgets)
    assert price_of(plan, more) <= price_of(plan, less) * (1 + 1e-9)
