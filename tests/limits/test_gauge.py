"""Counts stop a task exactly at its limits, across threads, nested tasks and resumes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.core.clock import SystemClock
from orchestrator.core.halt import Count, Halt
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import (
    HALTED_UNSENT,
    WITHDRAWN,
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    TaskHistory,
)
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
    key: str,
    *,
    task_id: str = "t1",
    tokens: int | None = None,
    open_: bool = False,
    bound: int = 0,
    **ended: Any,
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
        token_bound=bound,
    )
    usage = None if tokens is None else Usage(tokens - 1, 1)
    fields: dict[str, Any] = {"end": "settled", "cost": Money(1), "certainty": "known", **ended}
    end = AttemptEnd(attempt_id=intent.attempt_id, seconds=1, at=NOW, usage=usage, **fields)
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


FREE = {"end": "released", "cost": Money.ZERO}


@pytest.mark.parametrize(
    ("before", "calls", "tokens"),
    [
        (attempt("said", tokens=60, bound=500), 1, 60),
        (attempt("not said", bound=500), 1, 500),
        (attempt("cut", bound=500, error="no answer within 120 s"), 1, 500),
        (attempt("died", bound=500, end="expired", certainty="unknown"), 1, 500),
        (attempt("open", bound=500, open_=True), 1, 500),
        (attempt("refused", bound=500, error="HTTP 429", **FREE), 1, 0),
        (attempt("failed", bound=500, cost=Money.ZERO, error="HTTP 500"), 1, 0),
        (attempt("halted", bound=500, error=HALTED_UNSENT, **FREE), 0, 0),
        (attempt("withdrawn", bound=500, error=WITHDRAWN, **FREE), 0, 0),
    ],
    ids=lambda value: value.intent.key if isinstance(value, AttemptRecord) else None,
)
def test_a_resume_counts_what_was_sent_and_the_most_it_can_have_used(
    before: AttemptRecord, calls: int, tokens: int
):
    left = gauge(histories={"t1": history(before)}, tokens=1000, model_calls=10).remaining()

    assert (left.model_calls, left.tokens) == (10 - calls, 1000 - tokens)


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


def test_a_hit_is_no_model_call_and_can_still_repeat():
    limited = gauge(model_calls=1, repeats=2)

    assert limited.before_hit("plan", "h", "k1") is None
    assert limited.before_hit("plan", "h", "k1") is None, "the same ask"
    assert limited.before_hit("plan", "h", "k2") is None
    halt = limited.before_hit("plan", "h", "k3")

    assert halt is not None
    assert halt.reason == "repeats"
    assert limited.remaining().model_calls == 1


def test_a_resume_counts_a_hit_as_an_ask_only_and_a_tool_not_at_all():
    hit, tool = (
        AttemptRecord(replace(made.intent, kind=kind), made.end)
        for made, kind in [(attempt("k1"), "memo"), (attempt("k2"), "tool")]
    )
    resumed = gauge(model_calls=2, repeats=1, histories={"t1": history(hit, tool)})

    assert resumed.remaining().model_calls == 2
    assert resumed.before_attempt("plan", "h", "k1") is None
    assert resumed.before_hit("plan", "h", "k2") is not None, "asked once, by the hit"
