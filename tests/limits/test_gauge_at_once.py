"""Many threads count at once: exactly as many start as a limit allows."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from orchestrator.core.clock import SystemClock
from orchestrator.core.halt import Halt
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import LimitSettings


def gauge(**limits: int) -> Gauge:
    return Gauge("t1", LimitSettings(**limits), Deadline(SystemClock(), None))


def together(count: int, work: Callable[[int], Halt | None]) -> list[Halt | None]:
    """Do ``count`` pieces of work at once, each on a thread of its own."""
    start = threading.Barrier(count)

    def wait_and_work(index: int) -> Halt | None:
        start.wait()
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_work, range(count)))


class SlowSettings(LimitSettings):
    """Lets other threads run between the judging of a limit and the counting."""

    def __getattribute__(self, name: str) -> object:
        time.sleep(0.0005)
        return super().__getattribute__(name)


def test_of_fifty_at_once_exactly_as_many_start_as_the_limit_allows():
    settings = SlowSettings(model_calls=20, steps=20, repeats=50)
    limited = Gauge("t1", settings, Deadline(SystemClock(), None))
    calls = together(50, lambda i: limited.before_attempt("plan", f"h{i}", f"k{i}"))
    steps = together(50, lambda i: limited.before_step(f"n{i}"))

    assert (calls.count(None), steps.count(None)) == (20, 20)


def test_children_at_once_share_what_their_parent_has():
    root = gauge(model_calls=20, steps=7)
    children = [
        Gauge(f"child-{i}", SlowSettings(model_calls=15), root.deadline, parent=root)
        for i in range(4)
    ]
    calls = together(40, lambda i: children[i % 4].before_attempt("plan", f"h{i}", f"k{i}"))
    steps = together(40, lambda i: children[i % 4].before_step(f"n{i}"))

    assert (calls.count(None), steps.count(None)) == (20, 7)
    assert root.remaining().model_calls == 0


def test_the_same_request_at_once_repeats_no_more_than_allowed():
    limited = Gauge("t1", SlowSettings(repeats=3), Deadline(SystemClock(), None))
    answers = together(20, lambda i: limited.before_attempt("plan", "h", f"k{i}"))

    assert answers.count(None) == 3


def test_tokens_of_attempts_that_end_at_once_all_count():
    limited = gauge(tokens=10**9)

    def use_tokens(_: int) -> None:
        for _ in range(500):
            limited.after_attempt(1)

    together(20, use_tokens)

    assert limited.remaining().tokens == 10**9 - 10_000
