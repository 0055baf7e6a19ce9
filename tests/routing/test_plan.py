from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from math import inf, isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.plan import Choice, cheapest_finish, pick

CHEAP = Choice(name="cheap", success=0.6, cost=1, most=1.5, seconds=1)
MIDDLE = Choice(name="middle", success=0.8, cost=4, most=6, seconds=2)
DEAR = Choice(name="dear", success=0.95, cost=20, most=30, seconds=9)
STEP = (CHEAP, MIDDLE, DEAR)

choices = st.builds(
    lambda name, success, cost, more, spread: Choice(
        name=name, success=success, cost=cost, most=cost * (1 + more), spread=spread
    ),
    name=st.sampled_from("abcde"),
    success=st.floats(0.01, 1),
    cost=st.floats(0.01, 100),
    more=st.floats(0, 3),
    spread=st.none() | st.floats(0, 10),
)
plans = st.lists(st.lists(choices, min_size=1, max_size=4), min_size=1, max_size=6)


def step(*successes, most=1, spread=None):
    return tuple(
        Choice(
            name=name,
            success=p,
            cost=cost,
            most=most * cost,
            spread=None if spread is None else spread * cost,
        )
        for name, p, cost in zip(("small", "medium", "large"), successes, (1, 4, 20), strict=True)
    )


def test_with_money_enough_the_best_is_taken():
    found = pick([STEP] * 8, inf)
    assert (found.choice, found.price) == (DEAR, 0)


def test_what_a_step_takes_leaves_enough_for_the_cheapest_finish():
    found = pick([STEP] * 8, 16)
    assert found.finish == 7 * 1.5
    assert found.fitting == ("cheap",)
    assert pick([STEP] * 8, 16.5).fitting == ("cheap", "middle")


def test_nothing_starts_that_does_not_fit():
    assert pick([STEP] * 8, 1.4).choice is None
    assert pick([STEP] * 8, 1.5).choice == CHEAP
    assert pick([STEP] * 2, inf, seconds=0.5).choice is None


def test_a_plan_that_may_not_finish_goes_on_with_what_risks_least():
    found = pick([STEP] * 8, 11.9)
    assert (found.choice, found.fitting) == (CHEAP, ())
    assert pick([STEP] * 8, 12.0).fitting == ("cheap",)
    assert pick([STEP] * 3, inf, seconds=2.5).fitting == ()


def test_the_reserve_gives_way_before_the_plan_does():
    assert pick([STEP] * 2, 3, reserve=10).choice == CHEAP
    assert pick([STEP] * 2, 8, reserve=10).fitting == ("cheap",)


def test_a_step_where_money_buys_nothing_leaves_it_to_the_others():
    easy = (CHEAP, Choice(name="dear", success=0.61, cost=20, most=20))
    hard = (Choice(name="cheap", success=0.1, cost=1, most=1), DEAR)
    assert pick([easy, hard], 32).choice == CHEAP
    assert pick([hard, easy], 32).choice == DEAR


def test_money_decides_how_strong_a_choice_may_be():
    names = [pick([step(0.7, 0.85, 0.95)] * 8, m).choice.name for m in (8, 16, 60, 200)]
    # Of equals the cheaper: what is saved can be spent later.
    assert names == ["small", "small", "medium", "large"]
    hard = step(0.3, 0.7, 0.95)
    names = [pick([hard, *[step(0.7, 0.85, 0.95)] * 7], m).choice.name for m in (8, 16, 60, 200)]
    assert names == ["small", "medium", "large", "large"]


def test_cases_stand_for_steps_that_may_be_any_of_them():
    easy, hard = step(0.98, 0.985, 0.99), step(0.3, 0.7, 0.95)
    for count in (1, 5):
        cases = [easy, hard] * count
        assert pick([easy, *cases], 42, ahead=6).choice.name == "small"
        assert pick([hard, *cases], 42, ahead=6).choice.name == "medium"
        assert pick([hard, *cases], 90, ahead=6).choice.name == "large"
        assert isclose(pick([easy, *cases], 42, ahead=6).finish, 6)
    assert pick([hard, easy], 20, ahead=0).finish == 0


def test_time_counts_like_money():
    assert pick([STEP, STEP], inf, seconds=3).fitting == ("cheap", "middle")


def test_a_reply_in_hand_is_taken_when_better_ones_cost_too_much():
    for success, name in ((0.94, "accept"), (0.2, "medium")):
        accept = Choice(name="accept", success=success, cost=0, most=0)
        assert pick([(accept, *step(0.7, 0.85, 0.95))], 10).choice.name == name


def test_a_plan_without_steps_is_none():
    with pytest.raises(ValueError, match="at least the step"):
        pick([], 1)


def test_the_finish_has_a_margin_for_scatter_and_room_for_a_reserve():
    assert cheapest_finish([]) == 0
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3)] * 4) == 4 * 3
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=0)] * 4) == 4 + 2
    some = cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=0.5)] * 4)
    assert isclose(some, 4 + 2.33 + 2)
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=9)] * 4) == 4 * 3


def test_the_price_is_what_one_unit_more_would_buy():
    poor, rich = (pick([step(0.7, 0.85, 0.95)] * 3, m) for m in (6, 90))
    assert isclose(poor.price, (log(0.85) - log(0.7)) / 3)
    assert rich.price == 0


@given(plan=plans, budget=st.floats(0, 1000), reserve=st.floats(0, 100))
def test_what_is_picked_fits_and_leaves_a_finish_where_one_can(plan, budget, reserve):
    found = pick(plan, budget, reserve=reserve)
    possible = [c for c in plan[0] if c.most <= budget]
    assert (found.choice is None) == (not possible)
    if found.fitting:
        assert found.choice.name in found.fitting
        assert found.choice.most <= budget * (1 + 1e-6)
        if found.choice.spread is None:
            assert found.choice.most + found.finish <= budget * (1 + 1e-6)
    elif found.choice is not None:
        assert found.choice.most == min(c.most for c in possible)
        assert all(c.most + found.finish > budget for c in possible)


@given(plan=plans, budget=st.floats(0, 1000))
def test_where_worst_cases_count_a_plan_that_fits_always_finishes(plan, budget):
    plan = [[replace(c, spread=None) for c in step] for step in plan]
    left = budget
    if cheapest_finish(plan) > budget:
        return
    for number in range(len(plan)):
        found = pick(plan[number:], left)
        assert found.fitting
        left -= found.choice.most
    assert left >= -1e-6


@given(plan=plans, budget=st.floats(0, 400))
def test_no_plan_of_that_cost_is_worth_more_than_the_dual_says(plan, budget):
    accept = Choice(name="accept", success=1.0, cost=0, most=0)
    # Without room for reserves; a choice that never fits is none.
    plan = [[replace(c, most=c.cost) for c in step] for step in plan]
    ((_, worth),) = pick([[accept], *plan[:4]], budget).scores
    for way in product(*plan[:4]):
        if sum(choice.cost for choice in way) <= budget:
            assert sum(log(choice.success) for choice in way) <= worth + 1e-6


@given(plan=plans, budgets=st.tuples(st.floats(0, 1000), st.floats(0, 1000)))
def test_more_money_is_never_worth_less(plan, budgets):
    accept = Choice(name="accept", success=1.0, cost=0, most=0)
    poor, rich = (pick([[accept], *plan], money) for money in sorted(budgets))
    assert rich.scores[0][1] >= poor.scores[0][1] - 1e-6
    # Who can reserve more has more to choose from, and then a unit may be worth more; below the
    # least finish its price is only what the whole plan is worth.
    every = [choice.most for step in plan for choice in step]
    least = sum(min(choice.most for choice in step) for step in plan)
    if max(*every, least) <= min(budgets):
        assert rich.price <= poor.price * (1 + 1e-6)


def test_a_known_scatter_is_outlived():
    source = random.Random(7)
    now, halted = step(0.7, 0.85, 0.95, most=3, spread=0.4), 0
    for _ in range(400):
        left = 17.0
        for i in range(8):
            found = pick([now] * (8 - i), left)
            if found.choice is None:
                halted += 1
                break
            left -= min(source.lognormvariate(-0.07, 0.37), 3.0) * found.choice.cost
    assert halted <= 4
