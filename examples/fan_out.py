"""Many branches at once under one task budget: what was paid for is kept, and never paid again."""

from __future__ import annotations

import asyncio
import operator
import tempfile
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send

from orchestrator import Orchestrator, TaskResult, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("policy.yaml")
CITIES = [f"City {number}" for number in range(1, 21)]


class State(TypedDict, total=False):
    """What the nodes hand on; the branches add their lines to the same list."""

    city: str
    lines: Annotated[list[str], operator.add]


def each_city(_: State) -> list[Send]:
    """Send every city to a branch of its own."""
    return [Send("describe", {"city": city}) for city in CITIES]


async def describe(state: State) -> State:
    """One branch."""
    reply = await step("describe").ask(f"Describe {state['city']} in one line.")
    return {"lines": [f"{state['city']}: {reply.text}"]}


graph = StateGraph(State).add_node("describe", describe)
graph = graph.add_conditional_edges(START, each_city, ["describe"])
model = ScriptedModel(lambda _: "Old walls, good bread, a river that floods in March. " * 4)


def show(result: TaskResult) -> None:
    """Print how the task stands."""
    lines = (result.output or result.partial)["lines"]
    why = f" by the budget of the {result.halt.scope}" if result.halt else ""
    print(f"{result.status}{why}: {len(lines)} of {len(CITIES)} lines for {result.cost.total}")


async def main() -> None:
    """Run with money for some of the branches, then with more."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/ledger.db"
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
            result = await orchestrator.run(graph, {}, agent="guide", budget="0.002")
            show(result)
            show(await orchestrator.resume(result.task_id, add_budget="0.01"))
    print(f"{len(model.requests)} model calls in all, one for each line")


if __name__ == "__main__":
    asyncio.run(main())
