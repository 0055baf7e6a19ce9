from __future__ import annotations

import random
from itertools import permutations
from math import erfc, isclose, sqrt
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.routing.cascade import (
    InHand,
    Option,
    Price,
    Threshold,
    decide,
    expected_excess,
    reservation,
)


def option(action, quality, cost, spread=0.0):
    return Option(action=action, quality=quality, mean=quality, spread=spread, cost=cost)


def test_without_spread_the_best_bargain_is_run():
    options = [option("small", 0.7, 1), option("large", 0.9, 20)]
    assert decide(options, None, Price(0.001)).action == "large"
    assert decide(options, None, Price(0.02)).action == "small"


@given(st.floats(0.1, 0.9), st.floats(0.01, 0.3), st.floats(0.001, 0.2))
def test_at_the_reservation_value_looking_breaks_even(mean, spread, toll):
    z = reservation(option("a", mean, toll, spread), Price(1.0))
    if z > mean - toll + 1e-9:
        assert isclose(spread * expected_excess((mean - z) / spread), toll, rel_tol=1e-3)


def test_a_cheap_look_comes_first_and_decides():
    small, large = option("small", 0.7, 1, 0.2), option("large", 0.9, 20)
    price = Price(0.005)
    assert decide([small, large], None, price).action == "small"
    assert decide([large], InHand("small", 0.85, 0.85), price).verdict == "accept"
    assert decide([large], InHand("small", 0.5, 0.5), price).action == "large"


def _worth(boxes, order, price, draws):
    """Mean quality less cost of opening in a fixed order, stopping as well as can be."""
    total = []
    for draw in draws:
        held, paid = 0.0, 0.0
        for i in order:
            if held >= reservation(boxes[i], price):
                break
            paid += price.quality_per_cost * boxes[i].cost
            held = max(held, draw[i])
        total.append(held - paid)
    return fmean(total)


def test_the_order_of_reservation_values_is_best():
    source = random.Random(9)
    boxes = [option("a", 0.5, 1, 0.25), option("b", 0.6, 4, 0.2), option("c", 0.8, 20, 0.05)]
    price = Price(0.01)
    draws = [[source.gauss(box.mean, box.spread) for box in boxes] for _ in range(20_000)]
    best = sorted(range(3), key=lambda i: -reservation(boxes[i], price))
    mine = _worth(boxes, best, price, draws)
    assert all(
        mine >= _worth(boxes, order, price, draws) - 2e-3 for order in permutations(range(3))
    )


@given(cheap=st.floats(0.5, 5), chance=st.floats(0.05, 0.95))
def test_cheap_first_only_if_its_chance_exceeds_the_ratio_of_costs(cheap, chance):
    # A normal whose probability above the threshold is `chance`, by bisection.
    low, high = -4.0, 4.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _above(middle) < chance else (low, middle)
    small = option("small", 0.8 + 0.1 * low, cheap, 0.1)
    large = option("large", 0.99, 10)
    chosen = decide([small, large], None, Threshold(0.8)).action
    if abs(chance - cheap / 10) > 1e-6:
        assert chosen == ("small" if chance > cheap / 10 else "large")


def _above(u):
    return 0.5 * erfc(-u / sqrt(2))


def test_a_confident_reply_is_accepted_by_its_lower_bound():
    options = [option("large", 0.95, 20)]
    assert decide(options, InHand("small", 0.9, 0.85), Threshold(0.8)).verdict == "accept"
    assert decide(options, InHand("small", 0.9, 0.7), Threshold(0.8)).action == "large"


def test_when_nothing_can_reach_the_threshold_the_policy_decides():
    hopeless, held = [option("large", 0.6, 20)], InHand("small", 0.7, 0.65)
    assert decide(hopeless, held, Threshold(0.9)).verdict == "best"
    assert decide(hopeless, held, Threshold(0.9, "halt")).verdict == "halt"
    assert decide(hopeless, held, Threshold(0.9, "ask")).verdict == "ask"
    assert decide(hopeless, None, Threshold(0.9)).action == "large"
    assert decide([], held, Threshold(0.9)).action == "small"
