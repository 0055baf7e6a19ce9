"""An agent looks how much is left, and keeps enough money for its answer."""

from __future__ import annotations

import asyncio
import operator
import tempfile
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import END, StateGraph

from orchestrator import Orchestrator, current_task, step
from orchestrator.testing import ScriptedModel

POLICY = Path(__file__).with_name("finish_in_time.yaml")


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    notes: Annotated[list[str], operator.add]
    answer: str


async def research(state: State) -> State:
    """Look for one more thing. The prompt grows with each note, and so does its price."""
    known = "\n".join([state["question"], *state["notes"]])
    return {"notes": [(await step("research").ask(f"{known}\nWhat else?")).text]}


async def conclude(state: State) -> State:
    """Answer with what there is; this step may spend what was kept for it."""
    known = "\n".join([state["question"], *state["notes"]])
    return {"answer": (await step("answer", finish=True).ask(f"{known}\nAnswer now.")).text}


def what_next(state: State) -> str:  # noqa: ARG001 - the money decides, not the state
    """Go on as long as the money lasts."""
    return "conclude" if current_task().should_finish else "research"


graph = (
    StateGraph(State)
    .add_node("research", research)
    .add_node("conclude", conclude)
    .set_entry_point("research")
    .add_conditional_edges("research", what_next, ["research", "conclude"])
    .add_edge("conclude", END)
)
model = ScriptedModel(
    lambda request: "It is the moon." if "Answer now" in str(request.messages) else "A tide. " * 5
)


async def main() -> None:
    """An agent that would never end by itself ends with an answer."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/ledger.db"
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
            given = {"question": "Why do tides come twice a day?", "notes": []}
            result = await orchestrator.run(graph, given, agent="researcher")
    assert result.output is not None
    notes = len(result.output["notes"])
    print(f"{result.status} for {result.cost.total} after {notes} notes: {result.output['answer']}")


if __name__ == "__main__":
    asyncio.run(main())
