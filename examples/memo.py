"""A plan that recurs is paid once, for the whole team, until what it was made from changes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Money, Orchestrator, TaskResult, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("memo.yaml")


class State(TypedDict, total=False):
    """What the node hands on."""

    goods: str
    plan: str


async def plan(state: State) -> State:
    """Plan what every one of these agents plans."""
    return {"plan": (await step("plan").ask(f"Plan how to restock {state['goods']}.")).text}


graph = StateGraph(State).add_node("plan", plan).set_entry_point("plan")
model = ScriptedModel(lambda _: "Look up sales, then stock, then order the difference.")


def say(what: str, results: list[TaskResult]) -> None:
    """Print how many of the tasks paid, and how much."""
    paid = [result.cost.total for result in results if result.cost.total]
    print(f"{what}: {len(paid)} of {len(results)} tasks paid, {sum(paid, Money.ZERO)} in all")


async def main() -> None:
    """Fifty tasks at once, one later, and one after the catalogue has changed."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/ledger.db"
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:

            async def task(user: str) -> TaskResult:
                return await orchestrator.run(graph, {"goods": "tea"}, agent="buyer", user=user)

            say("at once", await asyncio.gather(*(task(f"u{number}") for number in range(50))))
            say("later", [await task("u51")])
            await orchestrator.touch("catalog")
            say("with another catalogue", [await task("u52")])
            say("and again", [await task("u53")])


if __name__ == "__main__":
    asyncio.run(main())
