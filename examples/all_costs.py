"""All that a task costs in one ledger: compute, memory, storage, traffic, a search, a person."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Money, Orchestrator, current_task, step, tool_cost
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("all_costs.yaml")


class State(TypedDict, total=False):
    """What the nodes hand on."""

    count: int
    total: int
    published: str
    answer: str


@tool_cost()
async def search(query: str) -> str:
    """Its price stands in the policy."""
    return f"a page about {query}"


def crunch(state: State) -> State:
    """Measured: CPU seconds of this thread, one GPU and 4 GiB for as long as it takes."""
    with current_task().measured(cpu="cpu_second", elapsed={"gpu_second": 1, "gib_second": 4}):
        return {"total": sum(number * number for number in range(state["count"]))}


async def publish(state: State) -> State:
    """Counted: what was stored, what left for where, and who looked at it for how long."""
    task = current_task()
    task.charge("gib_month", "0.5")
    task.charge("egress:eu->us", "0.4")
    task.charge("egress:eu->asia", "0.1")
    task.charge("human_minute", 2)
    return {"published": f"The sum is {state['total']}."}


async def answer(state: State) -> State:
    """Ask a model about what was found."""
    page = await search("sums of squares")
    return {"answer": (await step("answer").ask(f"{page}: {state['published']} Why?")).text}


async def main() -> None:
    """Run the task, and show what each part of it cost."""
    graph = StateGraph(State).add_sequence([crunch, publish, answer]).set_entry_point("crunch")
    with tempfile.TemporaryDirectory() as folder:
        store, model = f"sqlite:///{folder}/ledger.db", ScriptedModel(lambda _: "A sum of squares.")
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
            result = await orchestrator.run(graph, {"count": 300_000}, agent="accountant")
    print(f"{result.status}: {result.output['answer']}")
    for attempt in sorted(result.attempts, key=lambda one: one.step):
        print(f"  {attempt.step:24} {attempt.cost} ({attempt.certainty})")
    parts = sum((one.cost for one in result.attempts), Money.ZERO)
    assert parts == result.cost.total, "to the nano-dollar"
    print(f"  in all {parts}, the sum of its parts")


if __name__ == "__main__":
    asyncio.run(main())
