"""A broken listener is reported and hurts nobody."""

import json
from datetime import UTC, datetime

import pytest

from orchestrator.core.events import TaskStarted
from orchestrator.core.halt import Halt, Halted
from orchestrator.core.scope import Scope
from orchestrator.telemetry.fanout import Fanout

EVENT = TaskStarted(
    at=datetime(2026, 11, 1, tzinfo=UTC),
    scope=Scope(org="o", team="t", agent="a", task_id="task-1", tenant="t"),
    epoch=1,
    resumed=False,
)


def broken(_event):
    message = "no disk, password=abcdefgh"
    raise OSError(message)


def test_every_listener_hears_every_event_in_order():
    heard = []
    fanout = Fanout([lambda e: heard.append(("a", e)), lambda e: heard.append(("b", e))])

    fanout(EVENT)

    assert heard == [("a", EVENT), ("b", EVENT)]
    assert fanout.failures == {}


def test_a_listener_that_raises_does_not_stop_the_others():
    heard = []
    fanout = Fanout([broken, heard.append, broken])

    fanout(EVENT)
    fanout(EVENT)

    assert heard == [EVENT, EVENT]


def test_it_is_reported_once_and_counted_always(capsys):
    fanout = Fanout([broken])

    for _ in range(3):
        fanout(EVENT)

    [line] = capsys.readouterr().err.splitlines()
    report = json.loads(line)
    assert report["event"] == "listener_failed"
    assert report["level"] == "warning"
    assert report["listener"] == "broken"
    assert report["on"] == "TaskStarted"
    assert report["error"].startswith("OSError: no disk")
    assert "abcdef" not in line
    assert fanout.failures == {"broken": 3}


def test_each_broken_listener_is_reported(capsys):
    class Meter:
        def __call__(self, event):
            raise ValueError(event)

    fanout = Fanout([broken, Meter()])
    fanout(EVENT)

    assert len(capsys.readouterr().err.splitlines()) == 2
    assert sum(fanout.failures.values()) == 2


def test_a_listener_that_recovers_hears_what_follows():
    heard = []

    def flaky(event):
        heard.append(event)
        if len(heard) == 1:
            raise ValueError

    fanout = Fanout([flaky])
    fanout(EVENT)
    fanout(EVENT)

    assert len(heard) == 2
    assert list(fanout.failures.values()) == [1]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Halted(Halt("cancelled", "task"))])
def test_what_is_meant_to_stop_the_program_passes(stop):
    def listener(_event):
        raise stop

    with pytest.raises(type(stop)):
        Fanout([listener])(EVENT)
