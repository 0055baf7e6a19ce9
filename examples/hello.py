"""A graph of two nodes under a policy: the shape of every agent here.

Take away `client=` and give the policy's models a key, and the same code asks real models.
"""

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

    question: str
    plan: str
    answer: str


async def plan(state: State) -> State:
    """Say how the question could be answered."""
    reply = await step("plan").ask(f"Plan how to answer: {state['question']}")
    return {"plan": reply.text}


async def answer(state: State) -> State:
    """Answer it by the plan."""
    reply = await step("answer").ask(f"{state['plan']}\nAnswer: {state['question']}")
    return {"answer": reply.text}


graph = StateGraph(State).add_sequence([plan, answer]).set_entry_point("plan")
model = ScriptedModel({"Plan how": "Look at a globe.", "Answer:": "The Pacific."})


async def main() -> None:
    """Run one task, and show what each step cost."""
    async with Orchestrator.from_policy(POLICY, client=model) as orchestrator:
        question = "Which ocean is the largest?"
        result = await orchestrator.run(graph, {"question": question}, agent="guide", user="u42")
    print(f"{result.status}: {result.output['answer']}")
    for attempt in result.attempts:
        print(f"  {attempt.step:6} asked {attempt.model}: {attempt.cost} ({attempt.certainty})")
    print(f"  in all {result.cost.total}")


if __name__ == "__main__":
    asyncio.run(main())
