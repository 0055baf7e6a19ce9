"""Each user has money for a day. One who has used it up is told so; the others go on."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("budget_per_user.yaml")


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    answer: str


async def answer(state: State) -> State:
    """Answer one question."""
    return {"answer": (await step("answer").ask(state["question"])).text}


graph = StateGraph(State).add_node("answer", answer).set_entry_point("answer")
model = ScriptedModel(lambda _: "It depends. " * 10)


async def main() -> None:
    """Ana asks until her money is used up; Ben asks once."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/ledger.db"
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
            for user in ("ana", "ana", "ana", "ana", "ana", "ben"):
                question = {"question": "Is it going to rain?"}
                result = await orchestrator.run(graph, question, agent="helpdesk", user=user)
                why = f": {result.halt.detail}" if result.halt else ""
                print(f"{user}: {result.status}, {result.cost.total}{why}")


if __name__ == "__main__":
    asyncio.run(main())
