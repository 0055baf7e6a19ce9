"""In which order a task turns to the keys and regions of one model."""

import pytest

from orchestrator.models.pools import COOL_S, Pools
from orchestrator.models.settings import ModelSettings, Origin
from orchestrator.testing import FakeClock

REGIONS, KEYS = ("eu", "us"), ("KEY_A", "KEY_B", "KEY_C")
POOLED = ModelSettings(
    name="small",
    model="bedrock/foo",
    origins=tuple(
        Origin(name=f"{region}/{key}", region=region, api_key_env=key)
        for region in REGIONS
        for key in KEYS
    ),
)


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for key in KEYS:
        monkeypatch.setenv(key, "secret-key-1")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def pools(clock):
    return Pools(clock)


def turns(pools, task="t1", endpoints=POOLED.endpoints):
    return [one.origin for one in pools.ordered(endpoints, task)]


def endpoint(origin):
    return next(one.endpoint for one in POOLED.endpoints if one.origin == origin)


def test_a_model_with_one_origin_is_its_own_endpoint():
    single = ModelSettings(name="small", model="openai/foo")
    assert single.endpoints == (single,)
    assert len({one.endpoint for one in POOLED.endpoints}) == 6


def test_a_task_stays_in_one_region_and_tasks_spread_over_all(pools, clock):
    first = {task: turns(pools, task) for task in map(str, range(60))}
    for order in first.values():
        assert [one.split("/")[0] for one in order] == [order[0][:2]] * 3 + [order[-1][:2]] * 3
    assert {order[0] for order in first.values()} == {one.origin for one in POOLED.endpoints}
    # Another process, later: the provider's prompt cache is found again.
    clock.advance(hours=1)
    assert {task: turns(Pools(clock), task) for task in first} == first


def test_a_429_lets_one_key_rest_and_no_other(pools, clock):
    order = turns(pools)
    pools.limited(endpoint(order[0]), 60)
    assert pools.rests(endpoint(order[0]))
    assert not pools.rests(endpoint(order[1]))
    assert turns(pools) == [*order[1:], order[0]]
    clock.advance(seconds=60)
    # Rested, but limited more recently than the others of its region.
    assert turns(pools) == [order[1], order[2], order[0], *order[3:]]


def test_the_key_that_was_limited_longest_ago_comes_first(pools, clock):
    order = turns(pools)
    for number in (1, 0, 2):
        pools.limited(endpoint(order[number]), None)
        clock.advance(seconds=1)
    clock.advance(seconds=COOL_S)
    assert turns(pools)[:3] == [order[1], order[0], order[2]]


def test_of_keys_that_all_rest_the_soonest_over_comes_first(pools):
    for number, one in enumerate(POOLED.endpoints):
        pools.limited(one.endpoint, 60 - number)
    assert turns(pools) == [one.origin for one in reversed(POOLED.endpoints)]


def test_a_key_that_is_not_set_is_left_out_unless_none_is(pools, monkeypatch):
    monkeypatch.delenv("KEY_A")
    assert not [one for one in turns(pools) if one.endswith("KEY_A")]
    monkeypatch.setenv("KEY_B", "")
    monkeypatch.delenv("KEY_C")
    assert len(turns(pools)) == 6
