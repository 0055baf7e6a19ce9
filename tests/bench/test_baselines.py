"""Baselines follow from a table of every model on every question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.baselines import Outcome, OutcomeTable
from orchestrator.core.money import Money

SCORES = {
    "small": [1, 0, 0, 1],
    "medium": [1, 1, 0, 1],
    "large": [1, 1, 0, 0],
}
COSTS = {"small": 1, "medium": 5, "large": 21}


def table(scores=SCORES, costs=COSTS):
    return OutcomeTable(
        {
            (f"q{index}", model): Outcome(score, Money(costs[model]))
            for model, column in scores.items()
            for index, score in enumerate(column)
        },
        "simulated",
    )


def test_single_models():
    assert table().all_cheapest().detail == "small"
    assert (table().all_cheapest().quality, table().all_cheapest().cost) == (0.5, Money(4))
    assert table().all_strongest().detail == "large"
    assert table().best_single().detail == "medium"
    assert table().best_single().quality == 0.75


def test_a_point_less_is_taken_where_it_is_cheaper():
    near = {"small": [1] * 98 + [0] * 2, "medium": [1] * 99 + [0], "large": [1] * 100}
    assert table(near).cheapest_within_a_point().detail == "medium"
    assert table().cheapest_within_a_point().detail == "medium"


def test_of_two_equally_good_models_the_cheaper_is_the_best():
    assert table({"large": [1], "small": [1]}).best_single().detail == "small"


def test_the_oracle_takes_the_cheapest_right_model_or_the_cheapest():
    oracle = table().oracle()

    assert oracle.quality == 0.75
    assert oracle.cost == Money(1 + 5 + 1 + 1)


@pytest.mark.parametrize(
    ("cost", "quality", "mixed"),
    [(4, 0.5, 4), (84, 0.75, 84), (44, 0.625, 44), (0, 0.5, 4), (1000, 0.75, 84)],
)
def test_the_random_mix_lies_on_the_line_between_cheapest_and_strongest(cost, quality, mixed):
    scores = SCORES | {"large": [1, 1, 0, 1]}
    mix = table(scores).random_mix(Money(cost))

    assert mix.quality == pytest.approx(quality)
    assert mix.cost == Money(mixed)


def test_one_model_alone_is_every_baseline():
    alone = table({"small": [1, 0]})

    for baseline in alone.all(Money(10)):
        assert (baseline.quality, baseline.cost) == (0.5, Money(2))


def test_everything_is_labelled_with_its_source():
    baselines = table().all(Money(44))

    assert [b.name for b in baselines] == [
        *("all_cheapest", "all_strongest", "best_single", "cheapest_within_1pt", "random_mix"),
        "oracle",
    ]
    assert {b.source for b in baselines} == {"simulated"}
    assert {b.tasks for b in baselines} == {4}


def test_a_table_with_holes_is_refused():
    outcome = Outcome(1, Money(1))

    with pytest.raises(ValueError, match="large on q2"):
        OutcomeTable(
            {("q1", "small"): outcome, ("q1", "large"): outcome, ("q2", "small"): outcome},
            "measured",
        )
    with pytest.raises(ValueError, match="everything"):
        OutcomeTable({}, "measured")


columns = st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 3), min_size=1, max_size=6)


@given(columns, st.integers(0, 200))
def test_no_single_model_is_right_more_often_than_the_oracle(rows, cost):
    scores = dict(zip(SCORES, zip(*rows, strict=True), strict=True))
    whole = [sum(score == 1 for score in column) for column in scores.values()]
    built = table(scores)
    oracle = built.oracle()

    assert oracle.quality * len(rows) >= max(whole) - 1e-9
    assert built.all_cheapest().cost <= oracle.cost <= built.all_strongest().cost
    low, high = sorted([built.all_cheapest().quality, built.all_strongest().quality])
    assert low - 1e-9 <= built.random_mix(Money(cost)).quality <= high + 1e-9
