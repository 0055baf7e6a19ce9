"""A reply that must follow a schema: if the cheap model's does not, the strong one is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph
from pydantic import BaseModel, PositiveInt

from orchestrator import Orchestrator, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("policy.yaml")


class Order(BaseModel):
    """What is to be read out of a letter."""

    article: str
    pieces: PositiveInt


class State(TypedDict, total=False):
    """What the nodes hand on."""

    letter: str
    order: Order


async def extract(state: State) -> State:
    """Read the order; what comes back follows the schema, or no model's reply did."""
    reply = await step("extract").ask(f"Read this order: {state['letter']}", schema=Order)
    print(f"{reply.model} said it right, {reply.cost} with the reply that was not accepted")
    return {"order": reply.parsed}


graph = StateGraph(State).add_node("extract", extract).set_entry_point("extract")
model = ScriptedModel(
    {
        "small": '{"article": "lamp", "pieces": "a dozen"}',
        "large": '{"article": "lamp", "pieces": 12}',
    }
)


async def main() -> None:
    """Run one task."""
    async with Orchestrator.from_policy(POLICY, client=model) as orchestrator:
        letter = "Please send us a dozen of the brass lamps."
        result = await orchestrator.run(graph, {"letter": letter}, agent="orders")
    print(f"{result.status}: {result.output['order']}")
    print("asked: " + ", ".join(f"{one.model} ({one.cost})" for one in result.attempts))


if __name__ == "__main__":
    asyncio.run(main())
