"""A task halts when its money is used up; another process resumes it and pays nothing twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("policy.yaml")
TASK = "report-1"


class State(TypedDict, total=False):
    """What the nodes hand on."""

    topic: str
    facts: str
    report: str


async def research(state: State) -> State:
    """Gather facts."""
    return {"facts": (await step("research").ask(f"Research {state['topic']}.")).text}


async def write(state: State) -> State:
    """Write them up."""
    return {"report": (await step("write").ask(f"Write up: {state['facts']}")).text}


graph = StateGraph(State).add_sequence([research, write]).set_entry_point("research")


async def work(store: str, *, resume: bool) -> None:
    """Run the task with too little money, or resume it with more."""
    model = ScriptedModel(lambda _: "The moon pulls and the water follows. " * 4)
    async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
        if resume:
            result = await orchestrator.resume(TASK, graph=graph, add_budget="0.001")
        else:
            given = {"topic": "tides"}
            result = await orchestrator.run(graph, given, agent="a", task_id=TASK, budget="0.0007")
    print(f"process {os.getpid()}: {result.status}, {result.cost.total} so far")
    for request in model.requests:
        print(f"  asked here: {request.messages[0]['content'][:40]} ...")
    if result.halt is not None:
        print(f"  {result.halt.detail}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1], resume=True))
    else:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/ledger.db"
            asyncio.run(work(url, resume=False))
            subprocess.run([sys.executable, __file__, url], check=True)  # noqa: S603 - this script
