"""``orchestrator bench from-ledger``: a suite from tasks that were called right."""

import asyncio

from orchestrator import Orchestrator
from orchestrator.bench.suite import read_suite

STORE = "sqlite:///.orchestrator/ledger.db"


def tell(task_id, *, success):
    async def said():
        async with Orchestrator.from_policy("policy.yaml", store=STORE) as orchestrator:
            await orchestrator.feedback(task_id, success=success)

    asyncio.run(said())


def test_tasks_that_were_called_right_become_a_suite(run, start, folder, monkeypatch):
    policy = folder / "policy.yaml"
    forgotten = start().out and run("task", "list", "--json").json
    tell(forgotten[0]["task_id"], success=True)
    policy.write_text(policy.read_text() + "keep_bodies: 30d\n")
    tasks = []
    for _ in range(3):
        done = start("agents:graph", "--json")
        tasks.append(done.json["task_id"])
    tell(tasks[0], success=True)
    tell(tasks[1], success=False)

    made = run("bench", "from-ledger", "suite.jsonl", "--team", "research", "--json").json
    assert made == {"samples": 1, "left_out": {"no outcome": 1, "not right": 1, "no bodies": 1}}
    (sample,) = read_suite("suite.jsonl")
    assert (sample.id, sample.question, sample.answer) == (tasks[0], "Why?", "42")
    assert (folder / "suite.jsonl").stat().st_mode & 0o077 == 0

    monkeypatch.setattr("orchestrator.bench.from_ledger.mask", lambda text: text.replace("42", "*"))
    hidden = run("bench", "from-ledger", "none.jsonl", "--team", "research", "--json").json
    assert hidden["left_out"]["holds a secret"] == 1

    other = run("bench", "from-ledger", "none.jsonl", "--team", "sales")
    assert "nothing was written" in other.out
    assert not (folder / "none.jsonl").exists()
