"""Plans that are found by name, in this process and in another."""

import asyncio
import operator
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, TypedDict

from langgraph.graph import StateGraph
from langgraph.types import Command, Send

from orchestrator import step


class Trail(TypedDict, total=False):
    name: str
    said: Annotated[list[str], operator.add]


async def _at_once(number: int) -> None:
    """Nothing comes before a step."""


def plan_of(steps: int, before: Callable[[int], Awaitable[None]] = _at_once) -> StateGraph:
    """Each step asks about all that was said before, so a wrong state would be a new request."""

    def node(number: int):
        async def ask(state: Trail) -> Trail:
            await before(number)
            reply = await step(f"s{number}").ask(
                f"<{state['name']}.{number}> after {len(state['said'])}"
            )
            return {"said": [f"{number}: {reply.text}"]}

        return ask

    graph = StateGraph(Trail)
    graph.add_sequence([(f"n{number}", node(number)) for number in range(steps)])
    return graph.set_entry_point("n0")


def ten_steps() -> StateGraph:
    return plan_of(10)


def twelve_steps() -> StateGraph:
    return plan_of(12)


def traced_steps() -> StateGraph:
    """Each execution of a node leaves a line in the file that ``TRACE`` names."""

    trace = os.open(os.environ["TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def leave_a_line(number: int) -> None:
        os.write(trace, f"{number}\n".encode())

    return plan_of(6, leave_a_line)


class Bush(TypedDict, total=False):
    name: str
    number: int
    said: Annotated[list[str], operator.add]


def bushy() -> StateGraph:
    """Fan-out, a subgraph called twice in a node, questions asked twice at once: 17 asks."""

    async def ask(state: Bush, number: int) -> str:
        return (await step("s").ask(f"<{state['name']}.{number}>")).text

    async def inner_node(state: Bush) -> Bush:
        return {"said": [await ask(state, state["number"])]}

    inner = StateGraph(Bush).add_node("inner_node", inner_node).set_entry_point("inner_node")
    subgraph = inner.compile()

    async def plan(state: Bush) -> Command:
        await ask(state, 0)
        items = [{"name": state["name"], "number": number} for number in (1, 2, 3)]
        return Command(goto=[Send("work", item) for item in items])

    async def work(state: Bush) -> Bush:
        found = []
        for number in (state["number"], state["number"] + 3):
            result = await subgraph.ainvoke({"name": state["name"], "number": number})
            found += result["said"]
        return {"said": found}

    async def same(state: Bush) -> Bush:
        return {"said": await asyncio.gather(*(ask(state, 7 + n // 2) for n in range(10)))}

    graph = StateGraph(Bush).add_node("plan", plan).add_node("work", work)
    graph.add_node("same", same, defer=True).set_entry_point("plan")
    return graph.add_edge("work", "same")
