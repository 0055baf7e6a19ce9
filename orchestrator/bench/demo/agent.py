"""The demo's agent: plan, solve, review. An ordinary LangGraph graph."""

from __future__ import annotations

from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator.runtime.steps import step


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    plan: str
    solution: str
    review: str


def plan_prompt(question: str) -> str:
    """What the first step asks."""
    return f"Plan: {question}"


async def plan(state: State) -> State:
    """Say how the question could be answered."""
    reply = await step("plan").ask(plan_prompt(state["question"]))
    return {"plan": reply.text}


async def solve(state: State) -> State:
    """Answer it; the policy's checks decide whether a stronger model is asked."""
    reply = await step("solve").ask(
        f"Work it out step by step, writing each sum as a * b = c. End with a line 'ANSWER: …'.\n"
        f"A plan:\n{state['plan']}\n\nSolve: {state['question']}"
    )
    return {"solution": reply.text}


async def review(state: State) -> State:
    """Look at the solution once more."""
    reply = await step("review", finish=True).ask(
        f"Is this solution right? Begin with 'yes:' or 'no:'.\n{state['solution']}\n\n"
        f"Review: {state['question']}"
    )
    return {"review": reply.text}


def make_graph() -> StateGraph[State]:
    """The agent's graph."""
    graph = StateGraph(State)
    return graph.add_sequence([plan, solve, review]).set_entry_point("plan")
