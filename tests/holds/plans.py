"""Plans that are found by name, in this process and in another."""

import operator
from typing import Annotated, TypedDict

from langgraph.graph import StateGraph

from orchestrator import step


class Trail(TypedDict, total=False):
    name: str
    said: Annotated[list[str], operator.add]


def _plan(steps: int) -> StateGraph:
    """Each step asks about all that was said before, so a wrong state would be a new request."""

    def node(number: int):
        async def ask(state: Trail) -> Trail:
            reply = await step(f"s{number}").ask(f"<{state['name']}.{number}> of {state}")
            return {"said": [f"{number}: {reply.text}"]}

        return ask

    graph = StateGraph(Trail)
    graph.add_sequence([(f"n{number}", node(number)) for number in range(steps)])
    return graph.set_entry_point("n0")


def ten_steps() -> StateGraph:
    return _plan(10)


def twelve_steps() -> StateGraph:
    return _plan(12)
