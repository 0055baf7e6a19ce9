"""Several processes on one store, and processes that die: promises 1, 2, 7 and 8."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.core.money import Money
from orchestrator.ledger.refusals import AlreadyEnded
from orchestrator.ledger.stores.sqlite import SqliteStore

SPENDER = Path(__file__).with_name("spender.py")


class Process:
    def __init__(self, ledger_url, task_id, plan):
        self.process = subprocess.Popen(
            [sys.executable, SPENDER, ledger_url, task_id, json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, fact):
        """Facts up to the first ``fact``, or to the end of the process."""
        facts = []
        for line in self.process.stdout:
            facts.append(json.loads(line))
            if fact in facts[-1]:
                break
        return facts

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def stop(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        _, _ = self.process.stdin.close(), self.process.stdout.close()
        return self.process.wait(timeout=30)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request, ledger_path):
    if request.param == "sqlite":
        return f"sqlite:///{ledger_path}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store_at(ledger_path):
    def make(url):
        if url.startswith("sqlite"):
            return SqliteStore(ledger_path)
        return pytest.importorskip("orchestrator.ledger.stores.postgres").PostgresStore(url)

    return make


@pytest.fixture
def start(ledger_url):
    processes = []

    def start_one(task_id, **plan):
        processes.append(Process(ledger_url, task_id, {"bound": 90, "limit": 1000, **plan}))
        return processes[-1]

    yield start_one
    for process in processes:
        if process.process.poll() is None:
            process.stop(signal.SIGKILL)


async def test_processes_at_once_share_one_budget_to_the_last_call(
    start, open_bank, ledger_url, store_at
):
    processes = [start(f"task-{number}", cost=40, asks=12) for number in range(4)]
    for process in processes:
        process.read("ready")
    for process in processes:
        process.go()
    facts = [fact for process in processes for fact in process.read("nothing")]

    assert [process.stop() for process in processes] == [0] * 4
    served = sum("settled" in fact for fact in facts)
    assert served == (1000 - 90) // 40 + 1
    assert sum("refused" in fact for fact in facts) == 4 * 12 - served
    bank = await open_bank(store_at(ledger_url))
    assert await bank.sums() == (served * 40, 0, 0)


@pytest.mark.torture
async def test_a_thousand_tasks_in_four_processes_share_money_for_two_hundred_calls(
    start, open_bank, ledger_url, store_at, record_property
):
    """All ask at once; a call is bounded by 90 and costs 40, and there are 8,000."""
    plan = {"cost": 40, "limit": 200 * 40, "tasks": 250, "asks": 250}
    processes = [start(f"task-{number}", **plan) for number in range(4)]
    for process in processes:
        process.read("ready")
    for process in processes:
        process.go()
    facts = [fact for process in processes for fact in process.read("nothing")]

    assert [process.stop() for process in processes] == [0] * 4
    served = sum("settled" in fact for fact in facts)
    assert served == (200 * 40 - 90) // 40 + 1
    assert sum("refused" in fact for fact in facts) == 1000 - served
    bank = await open_bank(store_at(ledger_url))
    assert await bank.sums() == (served * 40, 0, 0)
    name = ledger_url.partition(":")[0]
    record_property(f"1,000 tasks in 4 processes on {name}", f"{served} served, overshoot 0")


async def test_what_a_killed_process_held_is_disputed_and_listed(
    start, open_bank, ledger_url, store_at, demand
):
    process = start("task-1", cost=40, asks=2, holds=3)
    process.read("ready")
    process.go()
    facts = process.read("holding")
    held = [fact["reserved"] for fact in facts if "reserved" in fact][-3:]
    assert process.stop(signal.SIGKILL) == -signal.SIGKILL

    bank = await open_bank(store_at(ledger_url))
    assert await bank.sums() == (80, 270, 0)
    record = await bank.ledger.take_over("task-1", owner="process-2")

    assert record.epoch == 2
    assert await bank.sums() == (80, 0, 270)
    doubts = await bank.ledger.in_doubt("task-1")
    assert [doubt.intent.attempt_id for doubt in doubts] == held
    assert {(doubt.end.cost, doubt.end.certainty) for doubt in doubts} == {(Money(90), "unknown")}
    with pytest.raises(AlreadyEnded):
        await bank.settle(held[0], 1)
    replies = [one.end.reply for one in (await bank.ledger.history("task-1")).attempts]
    assert replies == [b"reply", b"reply", None, None, None]
    await bank.hold(650, demand(1000), epoch=2)


@pytest.mark.parametrize("point", ["before begin", "before commit", "after commit"])
async def test_a_process_killed_at_any_point_leaves_what_it_said_and_no_half(
    start, open_bank, ledger_url, store_at, point
):
    """Commits: purge and open_task, then reserve and settle in turn."""
    for count in (3, 4, 5):
        task_id = f"task-{count}"
        process = start(task_id, cost=40, asks=1, holds=9, limit=10**6, die=[point, count])
        process.read("ready")
        process.go()
        facts = process.read("nothing")
        assert process.stop() == -signal.SIGKILL
        reserved = [fact["reserved"] for fact in facts if "reserved" in fact]
        settled = [fact["settled"] for fact in facts if "settled" in fact]

        bank = await open_bank(store_at(ledger_url))
        attempts = (await bank.ledger.history(task_id)).attempts
        written = [attempt.intent.attempt_id for attempt in attempts]
        ended = [attempt.intent.attempt_id for attempt in attempts if attempt.end is not None]
        # What was answered is there; at most the one in flight is there unanswered.
        assert written[: len(reserved)] == reserved
        assert ended[: len(settled)] == settled
        assert len(written) - len(reserved) + len(ended) - len(settled) == (point == "after commit")
        await bank.ledger.take_over(task_id, owner="process-2")
        doubts = await bank.ledger.in_doubt(task_id)
        assert [doubt.intent.attempt_id for doubt in doubts] == [
            attempt_id for attempt_id in written if attempt_id not in ended
        ]
        await bank.aclose()
