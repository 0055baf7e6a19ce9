from __future__ import annotations

import random

from orchestrator.bench.baselines import Outcome
from orchestrator.bench.compare import bootstrap, cost_per_success, differences
from orchestrator.core.money import Money


def test_the_interval_covers_the_truth_as_often_as_it_says():
    source = random.Random(2)
    covered = 0
    for seed in range(60):
        found = bootstrap([float(source.random() < 0.3) for _ in range(60)], seed)
        covered += found.low <= 0.3 <= found.high
    assert 52 <= covered <= 60


def test_questions_are_compared_in_pairs():
    # Each question costs and scores anything; the second policy is a cent dearer on each.
    source = random.Random(3)
    base = {str(i): Outcome(source.random(), Money(source.randrange(10**9))) for i in range(30)}
    other = {
        key: Outcome(one.score, Money(one.cost.nano + 10_000_000)) for key, one in base.items()
    }
    (found,) = differences({"a": base, "b": other})
    assert (found.name, found.less) == ("b", "a")
    assert (found.quality.low, found.quality.high) == (0, 0)
    assert abs(found.cost.low - 0.01) < 1e-9
    assert abs(found.cost.high - 0.01) < 1e-9


def test_cost_per_success_by_hand():
    outcomes = {"a": Outcome(1, Money(4)), "b": Outcome(0.5, Money(2)), "c": Outcome(0, Money(3))}
    assert cost_per_success(outcomes) == Money(6)
    assert cost_per_success({"a": Outcome(0, Money(4))}) is None
