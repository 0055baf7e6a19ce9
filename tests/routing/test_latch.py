"""The latch keeps asks away from models that refuse."""

import threading

import pytest

from orchestrator.models.protocol import ModelCallError
from orchestrator.routing.latch import RefusalLatch


class ManualClock:
    def __init__(self):
        self.time = 100.0

    def now(self):
        raise NotImplementedError

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        raise NotImplementedError


SERVER = ModelCallError("server_error", "", status=500)
BROKEN = ModelCallError("broken", "")
REFUSED = ModelCallError("not_connected", "")
LIMITED = ModelCallError("rate_limited", "", status=429)
BAD_REQUEST = ModelCallError("rejected", "", status=400)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def latch(clock):
    return RefusalLatch(clock, failures=3, cool_down_s=30)


def test_failures_in_a_row_open_it(latch):
    for error in (SERVER, BROKEN, REFUSED):
        assert latch.admits("m")
        latch.failed("m", error)

    assert not latch.admits("m")
    assert latch.state("m") == "open"
    assert "3 failures in a row" in latch.reason("m")
    assert latch.admits("other")


def test_a_success_in_between_starts_the_count_anew(latch):
    for _ in range(2):
        latch.failed("m", SERVER)
    latch.succeeded("m")
    for _ in range(2):
        latch.failed("m", SERVER)

    assert latch.admits("m")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_name_opens_it_at_once(latch, status):
    latch.failed("m", ModelCallError("rejected", "", status=status))

    assert not latch.admits("m")
    assert latch.reason("m") == f"HTTP {status}"


def test_a_bill_above_the_bound_opens_it_at_once(latch):
    latch.overran("m")

    assert not latch.admits("m")


@pytest.mark.parametrize("error", [LIMITED, BAD_REQUEST])
def test_what_says_nothing_about_the_models_health_does_not_count(latch, error):
    for _ in range(10):
        latch.failed("m", error)

    assert latch.admits("m")
    assert latch.state("m") == "closed"


def test_after_the_cool_down_exactly_one_trial_is_let_through(latch, clock):
    latch.overran("m")
    clock.time += 29.9
    assert not latch.admits("m")

    clock.time += 0.1
    assert latch.state("m") == "half_open"
    assert latch.admits("m")
    assert not latch.admits("m")

    latch.succeeded("m")
    assert latch.state("m") == "closed"
    assert latch.reason("m") is None
    assert latch.admits("m")


def test_a_failed_trial_opens_it_for_another_cool_down(latch, clock):
    latch.overran("m")
    clock.time += 30
    assert latch.admits("m")
    latch.failed("m", BROKEN)

    clock.time += 29
    assert not latch.admits("m")
    clock.time += 1
    assert latch.admits("m")


def test_a_trial_without_a_verdict_lets_the_next_caller_try(latch, clock):
    latch.overran("m")
    clock.time += 30
    assert latch.admits("m")
    latch.failed("m", LIMITED)

    assert latch.admits("m")


def test_a_trial_that_never_reports_back_does_not_block_for_ever(latch, clock):
    latch.overran("m")
    clock.time += 30
    assert latch.admits("m")
    clock.time += 30

    assert latch.admits("m")


def test_of_many_threads_one_gets_the_trial(latch, clock):
    latch.overran("m")
    clock.time += 30
    barrier = threading.Barrier(16)
    admitted = []

    def ask():
        barrier.wait()
        admitted.append(latch.admits("m"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(admitted) == [False] * 15 + [True]


@pytest.mark.parametrize(("failures", "cool_down_s"), [(0, 1), (1, 0), (1, float("nan"))])
def test_settings_that_make_no_sense_are_refused(clock, failures, cool_down_s):
    with pytest.raises(ValueError, match="failures"):
        RefusalLatch(clock, failures=failures, cool_down_s=cool_down_s)


def test_a_trial_that_was_never_sent_is_handed_to_the_next(clock):
    latch = RefusalLatch(clock, failures=1, cool_down_s=30)
    latch.failed("m", ModelCallError("server_error", "down", status=500))
    clock.time += 31
    assert latch.admits("m")
    assert not latch.admits("m")

    latch.withdrew("m")

    assert latch.admits("m")
    assert latch.state("m") == "half_open"
