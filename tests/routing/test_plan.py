from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from math import inf, isclose

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.routing.finish import Choice, cheapest_finish, is_within
from orchestrator.routing.plan import Pick, pick
from orchestrator.routing.prospects import CELLS, law, prospects

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


def planned(plan, budget, *, seconds=inf) -> Pick:
    now, *rest = plan
    return pick(now, prospects([[step] for step in rest], budget)[-1], budget, seconds=seconds)


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
    found = planned([STEP] * 8, inf)
    assert (found.choice, found.price) == (DEAR, 0)


def test_what_a_step_takes_leaves_enough_for_the_cheapest_finish():
    found = planned([STEP] * 8, 16)
    assert found.finish == 7 * 1.5
    assert found.fitting == ("cheap",)
    assert planned([STEP] * 8, 16.5).fitting == ("cheap", "middle")


def test_nothing_starts_that_does_not_fit():
    assert planned([STEP] * 8, 1.4).choice is None
    assert planned([STEP] * 8, 1.5).choice == CHEAP
    assert planned([STEP] * 2, inf, seconds=0.5).choice is None


def test_a_plan_that_may_not_finish_goes_on_with_what_risks_least():
    found = planned([STEP] * 8, 11.9)
    assert (found.choice, found.fitting) == (CHEAP, ())
    assert planned([STEP] * 8, 12.0).fitting == ("cheap",)
    assert planned([STEP] * 3, inf, seconds=2.5).fitting == ()


def test_nothing_is_kept_where_a_plan_may_halt():
    kept, unkept = (prospects([[STEP]] * 7, 16, margin=margin)[-1] for margin in (2.33, -inf))
    assert pick(STEP, kept, 16).fitting == ("cheap",)
    spread = [replace(choice, spread=0.1) for choice in STEP]
    unkept = prospects([[spread]] * 7, 16, margin=-inf)[-1]
    assert pick(spread, unkept, 16).fitting == ("cheap", "middle")


def test_a_step_where_money_buys_nothing_leaves_it_to_the_others():
    easy = (CHEAP, Choice(name="dear", success=0.61, cost=20, most=20))
    hard = (Choice(name="cheap", success=0.1, cost=1, most=1), DEAR)
    assert planned([easy, hard], 32).choice == CHEAP
    assert planned([hard, easy], 32).choice == DEAR


def test_money_decides_how_strong_a_choice_may_be():
    hard = step(0.3, 0.7, 0.95)
    names = [planned([hard, *[step(0.7, 0.85, 0.95)] * 7], m).choice.name for m in (8, 16, 60, 200)]
    assert names == ["small", "medium", "large", "large"]
    # Of equals the cheaper: what is saved can be spent later.
    assert planned([step(0.9, 0.9, 0.9)] * 8, 200).choice.name == "small"


def test_a_step_to_come_may_be_any_of_its_cases():
    easy, hard = step(0.98, 0.985, 0.99), step(0.3, 0.7, 0.95)
    ahead = prospects([[easy, hard]] * 6, 90)
    for now, budget, name in ((easy, 42, "small"), (hard, 16, "medium"), (hard, 90, "large")):
        assert pick(now, ahead[6], budget).choice.name == name
    assert isclose(ahead[6].finish.needed(), 6)
    assert pick(hard, ahead[0], 20).finish == 0


def test_time_counts_like_money():
    assert planned([STEP, STEP], inf, seconds=3).fitting == ("cheap", "middle")


def test_a_reply_in_hand_is_taken_when_better_ones_cost_too_much():
    for success, name in ((0.94, "accept"), (0.2, "medium")):
        accept = Choice(name="accept", success=success, cost=0, most=0)
        assert planned([(accept, *step(0.7, 0.85, 0.95))], 10).choice.name == name


def test_the_finish_has_a_margin_for_scatter_and_room_for_a_reserve():
    assert cheapest_finish([]) == 0
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3)] * 4) == 4 * 3
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=0)] * 4) == 4 + 2
    some = cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=0.5)] * 4)
    assert isclose(some, 4 + 2.33 + 2)
    assert cheapest_finish([step(0.7, 0.8, 0.9, most=3, spread=9)] * 4) == 4 * 3


def test_the_price_is_what_one_unit_less_would_take():
    poor, rich = (planned([step(0.7, 0.85, 0.95)] * 3, money) for money in (6, 90))
    assert 0 < poor.price < inf
    assert rich.price == 0


@given(choice=choices, cell=st.floats(0.01, 10))
def test_what_a_call_may_cost_in_cells_has_its_mean_and_no_chance_below_none(choice, cell):
    found = law(choice, cell)
    parts = [part for _, part in found]
    mean = sum(cost * part for cost, part in found) * cell
    variance = sum((cost * cell - mean) ** 2 * part for cost, part in found)
    assert min(parts) >= -1e-9
    assert min(cost for cost, _ in found) >= 0
    assert isclose(sum(parts), 1)
    assert isclose(mean, choice.cost, rel_tol=1e-6, abs_tol=1e-9)
    if cell <= (choice.spread or 0) <= choice.cost / 3:
        assert isclose(variance, choice.spread**2, rel_tol=1e-6)


@given(plan=plans, budget=st.floats(0, 1000))
def test_what_is_picked_fits_and_leaves_a_finish_where_one_can(plan, budget):
    found = planned(plan, budget)
    possible = [c for c in plan[0] if is_within(c.most, budget)]
    assert (found.choice is None) == (not possible)
    if found.fitting:
        assert found.choice.name in found.fitting
        assert found.choice.most <= budget * (1 + 1e-6)
        if found.choice.spread is None:
            assert found.choice.most + found.finish <= budget * (1 + 1e-6)
    elif found.choice is not None:
        assert found.choice.most == min(c.most for c in possible)
        # Where a cost's scatter is known, a margin for it is kept on top.
        needed = [c.most + found.finish for c in possible if c.spread is None]
        assert all(one > budget * (1 - 1e-6) for one in needed)


@given(plan=plans, budget=st.floats(0, 1000))
def test_where_worst_cases_count_a_plan_that_fits_always_finishes(plan, budget):
    plan = [[replace(c, spread=None) for c in step] for step in plan]
    left = budget
    if cheapest_finish(plan) > budget:
        return
    for number in range(len(plan)):
        found = planned(plan[number:], left)
        assert found.fitting
        left -= found.choice.most
    assert left >= -1e-6


@given(
    successes=st.lists(st.tuples(*[st.floats(0.05, 1)] * 3), min_size=5, max_size=5),
    budget=st.integers(5, CELLS),
)
def test_in_whole_cells_it_is_the_best_that_any_order_of_choices_reaches(successes, budget):
    """By enumeration: what each first choice is worth with the best ones after it."""
    plan = [
        [
            Choice(name=str(cost), success=p, cost=cost, most=cost)
            for p, cost in zip(each, (1, 3, CELLS // 4), strict=True)
        ]
        for each in successes
    ]
    now, *rest = plan
    ahead = prospects([[step] for step in rest], CELLS)[-1]
    for choice in now:
        ways = (way for way in product(*rest) if sum(c.cost for c in way) <= budget - choice.cost)
        best = max((chance(way) for way in ways), default=0.0)
        assert isclose(ahead.chance(choice, budget), best, abs_tol=1e-9)


def chance(way):
    found = 1.0
    for choice in way:
        found *= choice.success
    return found


@given(plan=plans, budgets=st.tuples(st.floats(0, 1000), st.floats(0, 1000)))
@example(plan=[[Choice(name="a", success=1.0, cost=1.0, most=1.0)]], budgets=(0.0, 2e-311))
def test_more_money_is_never_worth_less(plan, budgets):
    accept = Choice(name="accept", success=1.0, cost=0, most=0)
    ahead = prospects([[step] for step in plan], max(budgets))[-1]
    poor, rich = (ahead.chance(accept, money) for money in sorted(budgets))
    assert rich >= poor - 1e-9


def test_a_known_scatter_is_outlived():
    source = random.Random(7)
    now, halted = step(0.7, 0.85, 0.95, most=3, spread=0.4), 0
    ahead = prospects([[now]] * 7, 17.0)
    for _ in range(400):
        left = 17.0
        for i in range(8):
            found = pick(now, ahead[7 - i], left)
            if found.choice is None:
                halted += 1
                break
            left -= min(source.lognormvariate(-0.07, 0.37), 3.0) * found.choice.cost
    assert halted <= 4


def test_money_is_kept_for_the_case_that_needs_it():
    """Two steps, money for the strong model once: easy ones gain .01 by it, hard ones .6."""
    weak = Choice(name="weak", success=0.98, cost=1, most=1)
    easy = (weak, replace(weak, name="strong", success=0.99, cost=9, most=9))
    hard = (replace(weak, success=0.3), replace(weak, name="strong", success=0.9, cost=9, most=9))
    ahead = prospects([[easy, hard]], 10.0)[-1]
    assert pick(easy, ahead, 10.0).choice.name == "weak"
    assert pick(hard, ahead, 10.0).choice.name == "strong"
    after = ahead.chance(weak, 10.0)
    assert isclose(after, (0.99 + 0.9) / 2, rel_tol=0.05), "but for what cells blur"
