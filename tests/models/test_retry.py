"""When, after how long, and when no more. On a clock that only the test moves."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.halt import Halt, Halted
from orchestrator.models.failures import retry_after_s
from orchestrator.models.protocol import ModelCallError
from orchestrator.models.retry import (
    FIRST_WAIT_S,
    LONGEST_RETRY_AFTER_S,
    MAX_RETRIES,
    RetryBudget,
    is_worth_a_retry,
    retrying,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class TestClock:
    __test__ = False

    def __init__(self):
        self.waits = []

    def now(self):
        return NOW + timedelta(seconds=sum(self.waits))

    def monotonic(self):
        return sum(self.waits)

    async def sleep(self, seconds):
        self.waits.append(seconds)


def attempts_that(*outcomes):
    """One attempt per outcome: an error is raised, anything else returned."""
    left = list(outcomes)

    async def attempt():
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    attempt.left = left
    return attempt


def busy(retry_after=None):
    return ModelCallError("rate_limited", "busy", status=429, retry_after_s=retry_after)


@pytest.fixture
def clock():
    return TestClock()


@pytest.fixture
def budget():
    return RetryBudget()


async def test_an_answer_is_returned_and_nothing_waits(clock, budget):
    assert await retrying(clock=clock, budget=budget)(attempts_that("yes")) == "yes"
    assert clock.waits == []


async def test_three_retries_and_then_the_last_error_unchanged(clock, budget):
    errors = [busy() for _ in range(MAX_RETRIES + 1)]
    attempt = attempts_that(*errors, "never asked for")

    with pytest.raises(ModelCallError) as caught:
        await retrying(clock=clock, budget=budget)(attempt)

    assert caught.value is errors[-1]
    assert attempt.left == ["never asked for"]
    assert len(clock.waits) == MAX_RETRIES


async def test_waits_double_and_are_jittered_below(clock, budget):
    ceilings = [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    drawn = []
    for seed in range(200):
        clock.waits.clear()
        controller = retrying(clock=clock, budget=RetryBudget(), rng=random.Random(seed))
        await controller(attempts_that(busy(), busy(), busy(), "yes"))
        drawn.append(tuple(clock.waits))

    for waits, ceiling in zip(zip(*drawn, strict=True), ceilings, strict=True):
        assert 0 <= min(waits) < 0.1 * ceiling
        assert 0.9 * ceiling < max(waits) <= ceiling


async def test_the_same_seed_waits_the_same(budget):
    waits = []
    for _ in range(2):
        clock = TestClock()
        controller = retrying(clock=clock, budget=budget, rng=random.Random(7))
        await controller(attempts_that(busy(), busy(), "yes"))
        waits.append(clock.waits)

    assert waits[0] == waits[1]


async def test_retry_after_is_waited_for_exactly(clock, budget):
    assert await retrying(clock=clock, budget=budget)(attempts_that(busy(12.5), "yes")) == "yes"
    assert clock.waits == [12.5]


@pytest.mark.parametrize("deadline", [3.0, 2.0])
async def test_a_wait_that_would_not_end_before_the_deadline_is_not_begun(clock, budget, deadline):
    with pytest.raises(ModelCallError):
        await retrying(clock=clock, budget=budget, deadline=deadline)(
            attempts_that(busy(3.0), "too late")
        )

    assert clock.waits == []
    assert budget.left == RetryBudget().left, "a retry that is not made costs nothing"


async def test_a_wait_inside_the_deadline_is_begun(clock, budget):
    controller = retrying(clock=clock, budget=budget, deadline=3.1)

    assert await controller(attempts_that(busy(3.0), "in time")) == "in time"


async def test_nobody_waits_an_hour_because_a_server_says_so(clock, budget):
    with pytest.raises(ModelCallError):
        await retrying(clock=clock, budget=budget)(
            attempts_that(busy(LONGEST_RETRY_AFTER_S + 1), "much later")
        )

    assert clock.waits == []


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (ModelCallError("rate_limited", "", status=429), True),
        (ModelCallError("server_error", "", status=500), True),
        (ModelCallError("not_connected", ""), True),
        (ModelCallError("broken", "gateway", status=502), True),
        (ModelCallError("broken", "the connection broke"), True),
        (ModelCallError("broken", "unreadable", status=200), False),
        (ModelCallError("rejected", "", status=400), False),
        (TimeoutError(), False),
        (ValueError(), False),
        (asyncio.CancelledError(), False),
        (Halted(Halt("budget", "task")), False),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_what_is_retried(clock, budget, error, worth):
    assert is_worth_a_retry(error) is worth
    attempt = attempts_that(error, "again")

    if worth:
        assert await retrying(clock=clock, budget=budget)(attempt) == "again"
    else:
        with pytest.raises(type(error)) as caught:
            await retrying(clock=clock, budget=budget)(attempt)
        assert caught.value is error


async def test_a_stream_is_not_retried_after_its_first_piece(clock, budget):
    pieces = []
    cut = ModelCallError("broken", "cut")

    async def attempt():
        pieces.append("Once upon")
        raise cut

    with pytest.raises(ModelCallError):
        await retrying(clock=clock, budget=budget, may_retry=lambda: not pieces)(attempt)

    assert pieces == ["Once upon"]


async def test_an_outage_is_not_multiplied(clock):
    budget = RetryBudget(capacity=50)
    made = 0

    async def attempt():
        nonlocal made
        made += 1
        raise busy()

    for _ in range(1000):
        with pytest.raises(ModelCallError):
            await retrying(clock=clock, budget=budget)(attempt)

    assert made == 1000 + 10


async def test_retries_that_help_are_free(clock, budget):
    for _ in range(1000):
        await retrying(clock=clock, budget=budget)(attempts_that(busy(), "yes"))

    assert budget.left == RetryBudget().left


async def test_after_an_outage_success_brings_retries_back(clock):
    budget = RetryBudget(capacity=5)
    assert budget.take()
    with pytest.raises(ModelCallError):
        await retrying(clock=clock, budget=budget)(attempts_that(busy(), "refused"))

    for _ in range(5):
        await retrying(clock=clock, budget=budget)(attempts_that("yes"))

    assert await retrying(clock=clock, budget=budget)(attempts_that(busy(), "yes")) == "yes"


@given(st.lists(st.sampled_from(["take", "first", "retried"]), max_size=300))
def test_a_retry_budget_stays_within_its_bounds(events):
    budget = RetryBudget(capacity=20)
    for event in events:
        before = budget.left
        match event:
            case "take":
                assert budget.take() is (before >= 5)
            case "first":
                budget.give_back(0)
            case "retried":
                budget.give_back(2)
        assert 0 <= budget.left <= 20


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 14:00:30 +0200"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
    ],
)
def test_forms_of_retry_after(headers, seconds):
    assert retry_after_s(headers, NOW) == seconds
