"""A process that spends from a ledger, and may die while doing so.

Usage: spender.py URL TASK '{"bound": 3, ...}'; writes one JSON line per thing that happened.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import timedelta

from orchestrator.core.clock import SystemClock
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.factory import sqlite_path
from orchestrator.ledger.records import Account, AttemptEnd, AttemptIntent, Demand, TaskOpening
from orchestrator.ledger.refusals import BudgetShort
from orchestrator.ledger.stored import StoredLedger
from orchestrator.ledger.stores.sqlite import SqliteStore

TEAM = Account("team", "acme/research", "total")


class Death:
    """Kills this process, as the kernel would, the n-th time it reaches a point."""

    def __init__(self, point, count):
        self.point, self.count = point, count

    def __call__(self, point):
        if point == self.point:
            self.count -= 1
            if self.count == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def store_at(url, faults):
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path, faults=faults)
    from orchestrator.ledger.stores.postgres import PostgresStore  # noqa: PLC0415 - an extra

    return PostgresStore(url, faults=faults)


class Spender:
    def __init__(self, url, task_id, plan):
        self.task_id, self.plan, self.clock = task_id, plan, SystemClock()
        faults = Death(*plan["die"]) if "die" in plan else None
        self.ledger = StoredLedger(store_at(url, faults), self.clock)

    async def open(self):
        await self.ledger.open()
        for number in range(self.plan.get("tasks", 1)):
            await self.open_task(f"{self.task_id}-{number}" if number else self.task_id)

    async def open_task(self, task_id):
        scope = Scope(
            org="acme", team="research", agent="writer", task_id=task_id, tenant="research"
        )
        await self.ledger.open_task(
            TaskOpening(
                scope=scope,
                owner=str(os.getpid()),
                graph="graphs:answer",
                policy="research.yaml",
                input_type="json",
                input_body=b"{}",
                at=self.clock.now(),
            )
        )

    async def reserve(self, number=0):
        now = self.clock.now()
        intent = AttemptIntent(
            attempt_id=new_attempt_id(),
            task_id=f"{self.task_id}-{number}" if number else self.task_id,
            epoch=1,
            key="key",
            request_hash="hash",
            step="plan",
            kind="ask",
            model="small",
            provider_model="openai/small",
            reserve=Money(self.plan["bound"]),
            expires_at=now + timedelta(seconds=130),
            at=now,
        )
        await self.ledger.reserve(intent, [Demand(TEAM, Money(self.plan["limit"]))])
        say(reserved=intent.attempt_id)
        return intent.attempt_id

    async def settle(self, attempt_id):
        await self.ledger.end(
            AttemptEnd(
                attempt_id=attempt_id,
                end="settled",
                cost=Money(self.plan["cost"]),
                certainty="known",
                seconds=0.1,
                at=self.clock.now(),
                reply=b"reply",
            )
        )
        say(settled=attempt_id)

    async def ask(self, number):
        try:
            await self.settle(await self.reserve(number % self.plan.get("tasks", 1)))
        except BudgetShort:
            say(refused=True)

    async def run(self):
        await self.open()
        say(ready=True)
        sys.stdin.readline()
        await asyncio.gather(*(self.ask(number) for number in range(self.plan.get("asks", 0))))
        for _ in range(self.plan.get("holds", 0)):
            await self.reserve()
        if "holds" in self.plan:
            say(holding=True)
            sys.stdin.readline()
        await self.ledger.aclose()


def say(**fact):
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Spender(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])).run())
