"""A task on PostgreSQL goes on in another process that shares nothing but the database."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LIFE = Path(__file__).with_name("life.py")
QUESTIONS = [f"question {number}: {number}" for number in range(6)]
SAID = [f"{number}:ok" for number in range(6)]


@pytest.fixture
def live(stage, postgres_url, tmp_path):
    """Each life in a directory of its own: nothing may be left behind in it."""

    def one(act, *, budget):
        policy = stage.policy(f"budgets: {{task: {{limit: {budget} USD}}}}")
        directory = tmp_path / act
        directory.mkdir()
        command = [sys.executable, LIFE, policy, postgres_url, act]
        ended = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
        )
        assert list(directory.iterdir()) == []
        if ended.returncode == -signal.SIGKILL:
            return None
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return one


def test_a_halted_task_is_resumed_by_another_process_without_paying_twice(live):
    first = live("run", budget="0.00025")
    assert first["status"] == "halted"
    assert 0 < len(first["said"]) < 6
    second = live("resume", budget="0.00025")

    assert second == {
        "status": "completed",
        "said": SAID,
        "asked": QUESTIONS[len(first["asked"]) :],
        "unknown": 0,
    }


def test_a_killed_task_is_taken_over_by_another_process_and_what_was_in_flight_is_listed(live):
    assert live("die", budget="1") is None
    second = live("resume", budget="1")

    assert second == {"status": "completed", "said": SAID, "asked": QUESTIONS[2:], "unknown": 1}
