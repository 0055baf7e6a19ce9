"""Counts stop a task exactly at its limits, across threads, nested tasks and resumes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.clock import SystemClock
from orchestrator.core.halt import Count, Halt
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, AttemptRecord, TaskHistory
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import LimitSettings, extended

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def gauge(
    parent: Gauge | None = None,
    *,
    task_id: str = "t1",
    histories: dict[str, TaskHistory] | None = None,
    **limits: int,
) -> Gauge:
    return Gauge(
        task_id,
        LimitSettings(**limits),
        Deadline(SystemClock(), None),
        parent=parent,
        histories=histories or {},
    )


def attempt(
    key: str, *, task_id: str = "t1", tokens: int | None = None, open_: bool = False
) -> AttemptRecord:
    intent = AttemptIntent(
        attempt_id=f"att-{task_id}-{key}",
        task_id=task_id,
        epoch=1,
        key=key,
        request_hash="h",
        step="plan",
        kind="ask",
        model="small",
        provider_model="openai/gpt-5-nano",
        reserve=Money(1),
        expires_at=NOW + timedelta(minutes=2),
        at=NOW,
    )
    usage = None if tokens is None else Usage(tokens - 1, 1)
    end = AttemptEnd(
        attempt_id=intent.attempt_id,
        end="settled",
        cost=Money(1),
        certainty="known",
        seconds=1,
        at=NOW,
        usage=usage,
    )
    return AttemptRecord(intent, None if open_ else end)


def history(*attempts: AttemptRecord, **marks: set[str]) -> TaskHistory:
    return TaskHistory(attempts, {}, {kind: frozenset(keys) for kind, keys in marks.items()})


def asks(of: Gauge, count: int, *, start: int = 0) -> list[Halt | None]:
    return [of.before_attempt("plan", f"h{i}", f"k{i}") for i in range(start, start + count)]


def test_without_limits_nothing_is_refused():
    free = gauge()

    assert asks(free, 1000) == [None] * 1000
    assert free.before_step("n") is None
    assert free.before_tool_call("t") is None
    free.after_attempt(10**9)
    assert asks(free, 1) == [None]
    left = free.remaining()
    assert (left.model_calls, left.tool_calls, left.tokens, left.steps) == (None,) * 4
    assert left.seconds == float("inf")


def test_a_limit_on_model_calls_refuses_the_next():
    limited = gauge(model_calls=3)
    *started, halt = asks(limited, 4)

    assert started == [None] * 3
    assert halt is not None
    assert (halt.reason, halt.scope, halt.step) == ("model_calls", "task", "plan")
    assert (halt.limit, halt.spent) == (Count(3, "model calls"), Count(3, "model calls"))
    assert halt.detail == (
        "The task has used 3 of 3 model calls; resume with extend={'model_calls': 1} or more."
    )


def test_a_refusal_counts_nothing():
    limited = gauge(model_calls=1, repeats=1)
    asks(limited, 5)
    limited.attempt_not_sent()

    assert limited.remaining().model_calls == 1
    assert limited.before_attempt("plan", "h4", "another") is None, "h4 was refused, never asked"


def test_retries_and_escalations_are_model_calls():
    limited = gauge(model_calls=2, repeats=1)

    assert limited.before_attempt("plan", "h", "k") is None
    assert limited.before_attempt("plan", "h", "k") is None
    halt = limited.before_attempt("plan", "h", "k")
    assert halt is not None
    assert halt.reason == "model_calls"


def test_an_attempt_that_was_not_sent_is_no_model_call():
    limited = gauge(model_calls=1)
    asks(limited, 1)
    limited.attempt_not_sent()

    assert asks(limited, 1, start=1) == [None]


def test_a_limit_on_tokens_refuses_once_it_is_reached():
    limited = gauge(tokens=100)
    limited.after_attempt(99)
    assert limited.remaining().tokens == 1
    assert asks(limited, 1) == [None]
    limited.after_attempt(51)
    (halt,) = asks(limited, 1)

    assert halt is not None
    assert (halt.reason, halt.limit, halt.spent) == (
        "tokens",
        Count(100, "tokens"),
        Count(150, "tokens"),
    )
    assert limited.remaining().tokens == 0


def test_the_same_request_may_be_asked_so_often_and_no_more():
    limited = gauge(repeats=3)
    answers = [limited.before_attempt("plan", "h", f"k{i}") for i in range(4)]

    assert answers[:3] == [None] * 3
    assert answers[3] is not None
    assert answers[3].reason == "repeats"
    assert answers[3].limit == Count(3, "repeats")
    assert answers[3].detail.startswith("Step 'plan' has asked the same request 3 times")


def test_only_the_same_request_of_the_same_step_repeats():
    limited = gauge(repeats=1)

    assert limited.before_attempt("plan", "h", "k1") is None
    assert limited.before_attempt("plan", "other", "k2") is None
    assert limited.before_attempt("answer", "h", "k3") is None
    assert limited.before_attempt("plan", "h", "k1") is None, "a retry has the key of its ask"
    assert limited.before_attempt("plan", "h", "k4") is not None


@pytest.mark.parametrize(
    ("name", "ask"), [("steps", Gauge.before_step), ("tool_calls", Gauge.before_tool_call)]
)
def test_what_runs_again_counts_once(name: str, ask: Callable[[Gauge, str], Halt | None]):
    limited = gauge(**{name: 2})

    assert [ask(limited, key) for key in ("a", "b", "a", "b", "a")] == [None] * 5
    halt = ask(limited, "c")
    assert halt is not None
    assert (halt.reason, halt.step) == (name, None)
    assert halt.limit == Count(2, name.replace("_", " "))
    assert getattr(limited.remaining(), name) == 0
    assert ask(limited, "c") is not None, "a refusal is not counted"
    assert ask(limited, "a") is None


def test_a_task_whose_time_is_over_asks_nothing():
    over = Gauge("t1", LimitSettings(), Deadline(SystemClock(), 60, already_s=60))
    halt = over.before_attempt("plan", "h", "k")

    assert halt is not None
    assert halt.reason == "timeout"
    assert over.remaining().seconds == 0


# Nested tasks: elsewhere sub-agents escaped the limits of their parent


def test_what_a_child_does_counts_for_every_task_around_it():
    root = gauge(model_calls=5, tool_calls=1, steps=1, tokens=1000, repeats=9)
    child = gauge(root, task_id="t2")
    grandchild = gauge(child, task_id="t3", model_calls=50)

    assert asks(child, 2) == asks(grandchild, 2) == [None] * 2
    grandchild.after_attempt(900)
    assert grandchild.before_tool_call("x") is None
    assert grandchild.before_step("x") is None
    left = root.remaining()
    assert (left.model_calls, left.tool_calls, left.steps, left.tokens) == (1, 0, 0, 100)
    assert grandchild.remaining() == left
    assert asks(root, 1, start=9) == [None]
    for task in (root, child, grandchild):
        (halt,) = asks(task, 1, start=20)
        assert halt is not None
        assert halt.limit == Count(5, "model calls")


def test_the_outermost_limit_is_the_reason():
    root = gauge(model_calls=1)
    child = gauge(root, task_id="t2", model_calls=1)
    asks(child, 1)
    (halt,) = asks(gauge(root, task_id="t3", model_calls=0), 1)

    assert halt is not None
    assert halt.limit == Count(1, "model calls"), "the child's own limit is 0"


def test_a_child_that_is_refused_by_its_own_limit_counts_nothing_for_its_parent():
    root = gauge(model_calls=5, steps=5)
    child = gauge(root, task_id="t2", model_calls=0, steps=0)

    assert asks(child, 1) != [None]
    assert child.before_step("n") is not None
    assert (root.remaining().model_calls, root.remaining().steps) == (5, 5)


def test_a_loop_through_fresh_children_is_a_repeat():
    root = gauge(repeats=3)
    answers = [
        gauge(root, task_id=f"child-{i}").before_attempt("plan", "h", "the same key")
        for i in range(4)
    ]

    assert answers[:3] == [None] * 3
    assert answers[3] is not None


def test_tasks_of_one_tree_may_use_the_same_keys():
    root = gauge(steps=3)

    assert root.before_step("n") is None
    assert gauge(root, task_id="t2").before_step("n") is None
    assert root.remaining().steps == 1


# Resume


def test_a_resume_goes_on_where_the_task_stopped():
    before = history(
        attempt("k1", tokens=60),
        attempt("k1", tokens=30),  # a retry of the same ask
        attempt("k2"),  # cut: nobody knows its tokens
        attempt("k3", open_=True),  # its owner died
        steps={"a", "b"},
        tool_calls={"x"},
    )
    limits = {"model_calls": 10, "tokens": 100, "steps": 10, "tool_calls": 10, "repeats": 3}
    resumed = gauge(histories={"t1": before}, **limits)
    left = resumed.remaining()

    assert (left.model_calls, left.tokens, left.steps, left.tool_calls) == (6, 10, 8, 9)
    assert resumed.before_attempt("plan", "h", "k2") is None, "asked anew under its own key"
    halt = resumed.before_attempt("plan", "h", "k4")
    assert halt is not None
    assert halt.reason == "repeats"
    assert resumed.before_step("a") is None
    assert resumed.remaining().steps == 8


def test_a_resume_remembers_what_ran_inside_the_task():
    before = {
        "t1": history(attempt("k1", tokens=10), steps={"n"}),
        "t2": history(attempt("k1", task_id="t2", tokens=20), steps={"n"}),
    }
    resumed = gauge(histories=before, model_calls=3, tokens=100, steps=5)
    left = resumed.remaining()

    assert (left.model_calls, left.tokens, left.steps) == (1, 70, 3)
    again = gauge(resumed, task_id="t2", histories={"t2": before["t2"]}, model_calls=5)
    assert resumed.remaining() == left, "what a child knows of itself is not counted twice"
    assert again.before_step("n") is None
    assert resumed.remaining().steps == 3, "a node of the child that runs again counts once"


def test_an_extension_lets_a_halted_task_go_on():
    settings = LimitSettings(model_calls=2)
    before = {"t1": history(attempt("k1"), attempt("k2"))}
    deadline = Deadline(SystemClock(), None)

    assert Gauge("t1", settings, deadline, histories=before).before_attempt("a", "h2", "k3")
    longer = Gauge("t1", extended(settings, {"model_calls": 1}), deadline, histories=before)
    assert longer.before_attempt("a", "h2", "k3") is None
    assert longer.before_attempt("a", "h3", "k4") is not None


# Threads


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
