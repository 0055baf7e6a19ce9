"""An agent whose tools cost money: it halts before a search it cannot pay, and none runs twice."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from orchestrator import Money, Orchestrator, current_task
from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.tools import governed_tools
from orchestrator.models.protocol import ToolCall
from orchestrator.models.scripted import ScriptedReply
from orchestrator.testing import ScriptedModel

if TYPE_CHECKING:
    from orchestrator.models.protocol import ModelRequest

POLICY = Path(__file__).with_name("tools.yaml")
QUESTIONS = ("tides", "moons")


@tool
async def search(query: str) -> str:
    """Search the library."""
    print(f"  searching for {query}")
    current_task().charge("egress:eu->us", "0.01")
    return f"a page about {query}"


def play_the_model(request: ModelRequest) -> ScriptedReply | str:
    """Search for one thing after the other, then answer."""
    found = sum(message["role"] == "tool" for message in request.messages)
    if found == len(QUESTIONS):
        return "The moon makes the tides."
    query = json.dumps({"query": QUESTIONS[found]})
    return ScriptedReply(tool_calls=(ToolCall(f"call-{found}", "search", query),))


async def main() -> None:
    """Run the agent with too little money for its second search, then with more."""
    agent = create_agent(RoutedChatModel(step="think"), tools=governed_tools([search]))
    given = {"messages": [HumanMessage("What makes the tides?")]}
    with tempfile.TemporaryDirectory() as folder:
        store, model = f"sqlite:///{folder}/ledger.db", ScriptedModel(play_the_model)
        async with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
            result = await orchestrator.run(agent, given, agent="librarian", task_id="t")
            print(f"{result.status} before {result.halt and result.halt.step}")
            result = await orchestrator.resume("t", add_budget="0.01")
    print(f"{result.status}: {result.output['messages'][-1].content}")
    costs: Counter[str] = Counter()
    for attempt in result.attempts:
        costs[attempt.step] += attempt.cost.nano
    for step, nano in sorted(costs.items()):
        print(f"  {step:22} {Money(nano)}")


if __name__ == "__main__":
    asyncio.run(main())
