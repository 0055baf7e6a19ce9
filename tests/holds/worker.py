"""The mother of other processes: each line on standard input makes it fork one.

It runs or resumes the tasks it is told and says how they ended, a JSON line each. Forked, it starts
in no time, so that many can be killed.
"""

import asyncio
import importlib
import json
import os
import sys
import threading
import traceback
from importlib.util import find_spec
from typing import Any

from orchestrator import Fenced, Orchestrator

# What a life needs and would load late. None of it starts a thread.
EARLY = (
    "langgraph.checkpoint.sqlite.aio",
    "litellm.llms.custom_httpx.aiohttp_transport",
    "litellm.proxy._types",
    "openai.resources",
    "orchestrator.ledger.stores.sqlite",
    "orchestrator.models.failures",
    "orchestrator.runtime.steps",
    "plans",
    "deaths",
)
IF_INSTALLED = (
    "langgraph.checkpoint.postgres.aio",
    "orchestrator.ledger.stores.postgres",
    "orchestrator.runtime.storage.postgres_checkpoints",
)


def say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


async def one(orchestrator: Orchestrator, order: dict[str, Any], task: dict[str, Any]) -> None:
    task_id = task.pop("task_id")
    try:
        if task.pop("resume", False):
            result = await orchestrator.resume(task_id, **task)
        else:
            result = await orchestrator.run(
                order["graph"], {"name": task_id, "said": []}, agent="a", task_id=task_id, **task
            )
    except Fenced as error:
        say(task_id=task_id, status="fenced", error=str(error))
    else:
        say(
            task_id=task_id,
            status=result.status,
            output=result.output,
            halt=result.halt and result.halt.reason,
            attempts=[[one.step, one.certainty] for one in result.attempts],
            cost=result.cost.total.nano,
        )


async def live(order: dict[str, Any]) -> None:
    if "die" in order:
        importlib.import_module("deaths").arm(*order["die"])
    os.environ["TRACE"] = order.get("trace", os.devnull)
    async with Orchestrator.from_policy(order["policy"], store=order["store"]) as orchestrator:
        say(is_open=os.getpid())
        async with asyncio.TaskGroup() as group:
            for task in order["tasks"]:
                group.create_task(one(orchestrator, order, task))


def mother() -> None:
    for name in (*EARLY, *(IF_INSTALLED if find_spec("psycopg") else ())):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a thread would not survive the fork"
    say(is_ready=os.getpid())
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(live(json.loads(line)))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.waitpid(pid, 0)
        say(is_over=pid)


if __name__ == "__main__":
    mother()
