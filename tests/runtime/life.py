"""One life of an orchestrator in a process of its own: run or resume a task, and say how it ended.

Usage: life.py POLICY STORE run|resume|die
"""

import asyncio
import json
import operator
import os
import signal
import sys
from typing import Annotated, TypedDict

from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion
from orchestrator.models.scripted import ScriptedModel, question


class Trail(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def node(number):
    async def ask(state):
        reply = await step(f"s{number}").ask(f"question {number}: {len(state['said'])}")
        return {"said": [f"{number}:{reply.text}"]}

    ask.__name__ = f"n{number}"
    return ask


GRAPH = StateGraph(Trail).add_sequence([node(number) for number in range(6)]).set_entry_point("n0")


async def live(policy, store, act):
    asked = []

    def answer(request):
        asked.append(question(request.messages))
        if act == "die" and len(asked) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return Completion(text="ok", finish_reason="stop", usage=Usage(19, 1), served_model="m")

    async with Orchestrator.from_policy(policy, store=store, client=ScriptedModel(answer)) as lives:
        if act == "resume":
            result = await lives.resume("t", graph=GRAPH, add_budget="0.01")
        else:
            result = await lives.run(GRAPH, {"said": []}, agent="a", task_id="t")
    said = (result.output or result.partial or {}).get("said")
    unknown = sum(one.certainty == "unknown" for one in result.attempts)
    facts = {"status": result.status, "said": said, "asked": asked, "unknown": unknown}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    asyncio.run(live(*sys.argv[1:]))
