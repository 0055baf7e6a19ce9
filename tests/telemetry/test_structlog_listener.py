"""Every event becomes one JSON line that holds money and no texts."""

import io
import json
from datetime import UTC, datetime

import pytest
import structlog

from orchestrator.core import events
from orchestrator.core.halt import Halt, Seconds
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.telemetry.structlog_listener import StructlogListener

SCOPE = Scope(
    org="acme",
    team="research",
    agent="researcher",
    task_id="task-1",
    tenant="research",
    user="u42",
    ancestors=("task-0",),
)
SHARED = {"at": datetime(2026, 11, 1, 12, tzinfo=UTC), "scope": SCOPE}
ATTEMPT = {"attempt_id": "att-1", "step": "plan", "model": "small", "kind": "ask"}

WARNINGS = {
    "budget_threshold_crossed",
    "ledger_away",
    "task_halted",
    "tool_failed",
    "memo_faulted",
    "threshold_unreached",
}
EVENTS = {
    "task_started": events.TaskStarted(**SHARED, epoch=2, resumed=True),
    "task_halted": events.TaskHalted(
        **SHARED,
        halt=Halt(
            "budget", "task", limit=Money.from_usd("0.25"), spent=Money.from_usd("0.2"), step="plan"
        ),
    ),
    "task_ended": events.TaskEnded(
        **SHARED, status="completed", cost=Money.from_usd("0.000012345"), seconds=1.5
    ),
    "attempt_started": events.AttemptStarted(**SHARED, **ATTEMPT, reserved=Money.from_usd("0.01")),
    "attempt_ended": events.AttemptEnded(
        **SHARED,
        **ATTEMPT,
        cost=Money.from_usd("0.000012345"),
        certainty="known",
        seconds=0.25,
        usage=Usage(100, 20, cached_input_tokens=30, reasoning_tokens=5),
    ),
    "step_decided": events.StepDecided(
        **SHARED,
        step="plan",
        model="small",
        accepted=False,
        confidence=0.5,
        confidence_state="uncalibrated",
        replayed=False,
        checks={"form": True, "arithmetic": False},
    ),
    "tool_failed": events.ToolFailed(
        **SHARED, tool="search", error="ValueError: no such page", step="plan", model="small"
    ),
    "threshold_unreached": events.ThresholdUnreached(
        **SHARED, step="plan", threshold=0.9, models=("small", "large")
    ),
    "budget_threshold_crossed": events.BudgetThresholdCrossed(
        **SHARED,
        budget="team",
        holder="acme/research",
        window="total",
        share="80%",
        action="notify",
        limit=Money.from_usd("400"),
        spent=Money.from_usd("320"),
    ),
    "ledger_away": events.LedgerAway(**SHARED, error="database or disk is full"),
    "memo_served": events.MemoServed(
        **SHARED,
        step="plan",
        model="small",
        state="fresh",
        age_s=3.5,
        saved=Money.from_usd("0.01"),
    ),
    "memo_faulted": events.MemoFaulted(**SHARED, error="the disk is full"),
}


def logged(event):
    file = io.StringIO()
    StructlogListener(file)(event)
    [line] = file.getvalue().splitlines()
    return json.loads(line)


def test_every_event_there_is_has_a_line_of_its_own():
    kinds = {type(event).__name__ for event in EVENTS.values()}

    # By name: a dataclass with slots leaves the class it was made from behind.
    assert kinds == {kind.__name__ for kind in events.Event.__subclasses__()}


@pytest.mark.parametrize("name", EVENTS)
def test_each_line_says_what_when_and_for_whom(name):
    line = logged(EVENTS[name])

    assert line["event"] == name
    assert line["at"] == "2026-11-01T12:00:00+00:00"
    assert (line["org"], line["team"], line["agent"], line["user"], line["task_id"]) == (
        *("acme", "research", "researcher", "u42"),
        "task-1",
    )
    assert line["parent_task_id"] == "task-0"
    assert line["level"] == ("warning" if name in WARNINGS else "info")


def test_money_is_text_with_all_digits():
    assert logged(EVENTS["task_ended"])["cost_usd"] == "0.000012345"
    assert logged(EVENTS["attempt_started"])["reserved_usd"] == "0.010000000"
    assert logged(EVENTS["task_halted"])["limit"] == "0.250000000 USD"


def test_an_attempt_says_tokens_cost_certainty_and_duration():
    line = logged(EVENTS["attempt_ended"])

    assert {key: line[key] for key in ATTEMPT} == ATTEMPT
    assert (line["input_tokens"], line["output_tokens"]) == (100, 20)
    assert (line["cached_input_tokens"], line["reasoning_tokens"]) == (30, 5)
    assert (line["cost_usd"], line["certainty"], line["seconds"]) == ("0.000012345", "known", 0.25)
    assert "error" not in line


def test_limits_of_other_kinds_carry_their_unit():
    halt = Halt("timeout", "task", limit=Seconds(60), spent=Seconds(61.5), detail="too late")
    line = logged(events.TaskHalted(**SHARED, halt=halt))

    assert (line["limit"], line["spent"], line["detail"]) == ("60 s", "61.5 s", "too late")


def test_secrets_in_errors_are_masked():
    error = "401: Incorrect API key provided: s" + "k-proj-abcdefghijklmnop1234"
    line = logged(
        events.AttemptEnded(
            **SHARED, **ATTEMPT, cost=Money.ZERO, certainty="known", seconds=0.1, error=error
        )
    )

    assert "abcdefgh" not in json.dumps(line)
    assert line["error"].startswith("401: Incorrect API key provided")
    assert line["level"] == "warning"


def test_the_applications_own_structlog_configuration_stays_untouched():
    before = structlog.get_config()
    logged(EVENTS["task_started"])

    assert structlog.get_config() == before
    assert not structlog.is_configured()


def test_without_a_file_it_writes_to_standard_error(capsys):
    StructlogListener()(EVENTS["task_started"])

    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "task_started"


def test_a_logger_of_the_application_can_be_used():
    with structlog.testing.capture_logs() as captured:
        StructlogListener(logger=structlog.get_logger())(EVENTS["task_started"])

    assert captured[0]["event"] == "task_started"
