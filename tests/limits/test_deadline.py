"""Time counts on a monotonic clock, while the task runs, and inside the task around it."""

import math
from datetime import UTC, datetime

import pytest

from orchestrator.core.halt import Seconds
from orchestrator.limits.deadline import Deadline


class HandClock:
    """A clock that a test moves; its time of day jumps as it likes."""

    def __init__(self):
        self.seconds = 1000.0
        self.day = datetime(2026, 11, 22, tzinfo=UTC)

    def now(self) -> datetime:
        return self.day

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock():
    return HandClock()


async def test_time_runs_out(clock: HandClock):
    deadline = Deadline(clock, 60)
    await clock.sleep(59.5)

    assert deadline.check("plan") is None
    assert deadline.remaining_s == 0.5
    await clock.sleep(0.5)
    halt = deadline.check("plan")

    assert halt is not None
    assert (halt.reason, halt.scope, halt.step) == ("timeout", "task", "plan")
    assert (halt.limit, halt.spent) == (Seconds(60), Seconds(60))
    assert "extend={'timeout': " in halt.detail
    await clock.sleep(10)
    assert deadline.remaining_s == 0


def test_a_jump_of_the_time_of_day_ends_nothing(clock: HandClock):
    deadline = Deadline(clock, 60)
    clock.day = clock.day.replace(year=2030)

    assert deadline.remaining_s == 60


async def test_time_adds_up_over_resumes(clock: HandClock):
    deadline = Deadline(clock, 60, already_s=45)
    await clock.sleep(10)

    assert (deadline.running_s, deadline.remaining_s) == (55, 5)
    assert Deadline(clock, 60, already_s=60).check() is not None


async def test_without_a_timeout_there_is_no_end(clock: HandClock):
    deadline = Deadline(clock, None)
    deadline.extend(5)
    await clock.sleep(10**9)

    assert deadline.remaining_s == math.inf
    assert deadline.within(120) == 120
    assert deadline.check() is None


def test_nothing_starts_that_cannot_finish_in_time(clock: HandClock):
    deadline = Deadline(clock, 60)

    assert deadline.within(120) == 60
    assert deadline.within(20) == 20


@pytest.mark.parametrize("own", [None, 600])
async def test_a_child_ends_with_its_parent(clock: HandClock, own: float | None):
    parent = Deadline(clock, 60)
    await clock.sleep(20)
    child = Deadline(clock, own, parent=parent)

    assert child.remaining_s == 40
    await clock.sleep(40)
    halt = child.check()
    assert halt is not None
    assert halt.limit == Seconds(60), "the parent's"


async def test_a_child_can_end_before_its_parent(clock: HandClock):
    parent = Deadline(clock, 60)
    child = Deadline(clock, 10, parent=parent)
    await clock.sleep(10)
    halt = child.check()

    assert halt is not None
    assert halt.limit == Seconds(10)
    assert parent.check() is None


async def test_where_both_are_over_the_outermost_is_the_reason(clock: HandClock):
    child = Deadline(clock, 10, parent=Deadline(clock, 60))
    await clock.sleep(60)
    halt = child.check()

    assert halt is not None
    assert halt.limit == Seconds(60)


async def test_an_end_can_be_moved_but_not_past_the_parents(clock: HandClock):
    child = Deadline(clock, 10, parent=Deadline(clock, 60))
    child.extend(5)
    assert child.remaining_s == 15
    child.extend(1000)
    assert child.remaining_s == 60


async def test_the_end_that_comes_first_is_the_reason_before_it_has_come(clock: HandClock):
    outer = Deadline(clock, 60, holder="outer")
    inner = Deadline(clock, 10, parent=Deadline(clock, None, parent=outer), holder="inner")

    assert inner.halt("plan").holder == "inner"
    inner.extend(50)
    assert inner.halt().holder == "outer", "at once: the outermost, as when time is over"
    inner.extend(-1)
    assert inner.halt().holder == "inner"
