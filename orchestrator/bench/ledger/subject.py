"""The ledger under measurement: a task, and calls that reserve, settle and journal."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from orchestrator.bench.ledger.bare import BOUND, COST
from orchestrator.core.clock import SystemClock
from orchestrator.core.ids import new_attempt_id, new_task_id
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.ledger.factory import ledger_from_url
from orchestrator.ledger.records import Account, AttemptEnd, AttemptIntent, Demand, TaskOpening

BUDGETS = ("org", "team", "agent", "task")
_LIMIT = Money(10**17)
_REPLY = b"y" * 1000
_USAGE = Usage(input_tokens=700, output_tokens=200)


class Subject:
    """A ledger with one task in a tree of four budgets."""

    def __init__(self, url: str, *, budgets: Sequence[str] = BUDGETS) -> None:
        """Open it with :meth:`open`."""
        self._clock = SystemClock()
        self._ledger = ledger_from_url(url, clock=self._clock)
        self.scope = Scope("acme", "research", "writer", new_task_id(), "research")
        accounts = [
            Account("org", "acme", "total"),
            Account("team", "acme/research", "total"),
            Account("agent", "acme/research/writer", "total"),
            Account("task", self.scope.task_id, "task"),
        ]
        self._demands = [Demand(account, _LIMIT) for account in accounts if account.kind in budgets]
        self._keys = itertools.count()

    async def open(self) -> None:
        """Open the ledger and the task."""
        await self._ledger.open()
        await self._ledger.open_task(
            TaskOpening(
                scope=self.scope,
                owner="bench",
                graph="bench",
                policy="bench",
                input_type="json",
                input_body=b"{}",
                at=self._clock.now(),
            )
        )

    async def aclose(self) -> None:
        """Close the ledger."""
        await self._ledger.aclose()

    async def call(self) -> None:
        """One call's two transactions."""
        intent = self._intent(self._clock.now())
        await self._ledger.reserve(intent, self._demands)
        await self._settle(intent)

    async def _settle(self, intent: AttemptIntent) -> None:
        end = AttemptEnd(
            attempt_id=intent.attempt_id,
            end="settled",
            cost=Money(COST),
            certainty="known",
            seconds=0.1,
            at=self._clock.now(),
            usage=_USAGE,
            served_model="small-2026-11-01",
            price_source="policy",
            reply=_REPLY,
        )
        await self._ledger.end(end)

    async def calls(self, count: int, *, at_once: int) -> None:
        """So many calls by so many tasks."""

        async def work() -> None:
            for _ in range(count // at_once):
                await self.call()

        await asyncio.gather(*(work() for _ in range(at_once)))

    async def reserves_us(self, count: int, *, at_once: int) -> list[float]:
        """How long each reserve took, in microseconds, with so many tasks at once."""
        taken: list[float] = []

        async def work() -> None:
            for _ in range(count // at_once):
                intent = self._intent(self._clock.now())
                begun = time.perf_counter()
                await self._ledger.reserve(intent, self._demands)
                taken.append((time.perf_counter() - begun) * 1e6)
                await self._settle(intent)

        await asyncio.gather(*(work() for _ in range(at_once)))
        return taken

    def _intent(self, at: datetime) -> AttemptIntent:
        return AttemptIntent(
            attempt_id=new_attempt_id(),
            task_id=self.scope.task_id,
            epoch=1,
            key=f"{next(self._keys):064x}",
            request_hash="0" * 64,
            step="plan",
            kind="ask",
            model="small",
            provider_model="openai/small",
            reserve=Money(BOUND),
            expires_at=at + timedelta(seconds=130),
            at=at,
            token_bound=1000,
        )


async def _main(url: str, count: int) -> None:
    """One of several processes: say when ready, wait for a line, print how long reserves took."""
    subject = Subject(url)
    await subject.open()
    await subject.calls(10, at_once=1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(await subject.reserves_us(count, at_once=1)) + "\n")
    await subject.aclose()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
