"""A reply that is shown while it arrives; the whole of it is booked and journaled all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("policy.yaml")


class State(TypedDict, total=False):
    """What the nodes hand on."""

    about: str
    story: str


async def tell(state: State) -> State:
    """Print the reply piece by piece."""
    stream = step("tell").stream(f"Tell a very short story about {state['about']}.")
    async for piece in stream:
        print(piece.text, end="", flush=True)
    print(f"\n  {stream.reply.cost} for {len(stream.reply.text)} characters")
    return {"story": stream.reply.text}


graph = StateGraph(State).add_node("tell", tell).set_entry_point("tell")
model = ScriptedModel(["The lamp went out. A gull, annoyed, lit it again."])


async def main() -> None:
    """Run one task."""
    async with Orchestrator.from_policy(POLICY, client=model) as orchestrator:
        result = await orchestrator.run(graph, {"about": "a lighthouse"}, agent="teller")
    print(f"  {result.status}")


if __name__ == "__main__":
    asyncio.run(main())
