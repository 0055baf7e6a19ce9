"""A bank: one ledger, and short ways to make what is asked of it. Amounts are nano-dollars."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Balance,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.stored import StoredLedger
from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.sqlite import SqliteStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEAM = Account("team", "acme/research", "total")


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError

    def advance(self, **parts: float) -> None:
        self.time += timedelta(**parts)


@dataclass
class Bank:
    ledger: StoredLedger
    clock: Clock
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))
    is_open: bool = True

    async def aclose(self) -> None:
        """Close, after seeing that the ledger is sound."""
        if self.is_open:
            self.is_open = False
            verification = await self.ledger.verify()
            assert verification.is_sound, verification
            await self.ledger.aclose()

    async def abandon(self) -> None:
        """Close as it is."""
        self.is_open = False
        await self.ledger.aclose()

    async def open_task(self, task_id: str = "task-1", **fields: Any) -> Scope:
        scope = {"org": "acme", "team": "research", "agent": "writer", "tenant": "research"}
        scope |= {"user": "u1", **fields}
        made = Scope(task_id=task_id, **scope)
        await self.ledger.open_task(
            TaskOpening(
                scope=made,
                owner="process-1",
                graph="graphs:answer",
                policy="research.yaml",
                input_type="json",
                input_body=b'{"question": "why"}',
                at=self.clock.now(),
            )
        )
        return made

    def intent(
        self, reserve: int, *, task: str = "task-1", epoch: int = 1, **fields: Any
    ) -> AttemptIntent:
        made = {
            "attempt_id": f"attempt-{next(self.numbers)}",
            "key": "key",
            "request_hash": "hash",
            "step": "plan",
            "kind": "ask",
            "model": "small",
            "provider_model": "openai/small",
            "at": self.clock.now(),
            "expires_at": self.clock.now() + timedelta(seconds=130),
            **fields,
        }
        return AttemptIntent(task_id=task, epoch=epoch, reserve=Money(reserve), **made)

    async def hold(self, reserve: int, *demands: Demand, **fields: Any) -> str:
        """Reserve, and return the attempt's id."""
        intent = self.intent(reserve, **fields)
        await self.ledger.reserve(intent, demands)
        return intent.attempt_id

    async def settle(self, attempt_id: str, cost: int, **fields: Any) -> None:
        made = {"end": "settled", "certainty": "known", "seconds": 1.5, "at": self.clock.now()}
        end = AttemptEnd(attempt_id=attempt_id, cost=Money(cost), **{**made, **fields})
        await self.ledger.end(end)

    async def release(self, attempt_id: str) -> None:
        await self.settle(attempt_id, 0, end="released")

    async def close_task(self, task_id: str = "task-1", **fields: Any) -> None:
        made = {"epoch": 1, "status": "completed", "running_s": 2.0, "at": self.clock.now()}
        await self.ledger.close_task(TaskClosing(task_id=task_id, **{**made, **fields}))

    def decision(self, attempt_id: str, **fields: Any) -> Decision:
        made = {
            "task_id": "task-1",
            "key": "key",
            "step": "plan",
            "accepted": True,
            "confidence": None,
            "confidence_state": "uncalibrated",
            "at": self.clock.now(),
        }
        return Decision(attempt_id=attempt_id, **{**made, **fields})

    async def balance(self, account: Account = TEAM) -> Balance:
        (balance,) = await self.ledger.balances([account])
        return balance

    async def sums(self, account: Account = TEAM) -> tuple[int, int, int]:
        """Settled, reserved, disputed."""
        balance = await self.balance(account)
        return balance.settled.nano, balance.reserved.nano, balance.disputed.nano

    async def barrier(self) -> None:
        """Return once everything asked so far was judged, and its answers were handed over."""
        await asyncio.sleep(0)
        await self.ledger.epoch("none")
        await asyncio.sleep(0)

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """Whatever is asked meanwhile is carried out afterwards, in one batch."""
        is_held, let_go = threading.Event(), threading.Event()
        holding = asyncio.create_task(self.ledger._ask(lambda _: is_held.set() or let_go.wait()))
        await asyncio.to_thread(is_held.wait)
        try:
            yield
        finally:
            let_go.set()
            await holding

    async def waits(self, asking: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        """Ask, and see that it waits."""
        task = asyncio.create_task(asking)
        await self.barrier()
        assert not task.done(), task
        return task


def total(limit: int, account: Account = TEAM, *, withheld: int = 0) -> Demand:
    return Demand(account, Money(limit), Money(withheld))


@pytest.fixture
def demand() -> Callable[..., Demand]:
    return total


@pytest.fixture
def team() -> Account:
    return TEAM


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "ledger.db"


@pytest.fixture
async def open_bank(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[Bank]]]:
    """Open ledgers; at the end each must be sound."""
    opened: list[Bank] = []

    async def open_one(store: Any, **options: Any) -> Bank:
        ledger = StoredLedger(store, clock, **options)
        await ledger.open()
        bank = Bank(ledger, clock)
        opened.append(bank)
        return bank

    yield open_one
    for bank in opened:
        await bank.aclose()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, ledger_path: Path) -> Any:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SqliteStore(ledger_path)
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    return postgres.PostgresStore(request.getfixturevalue("postgres_url"), server_clock=False)


@pytest.fixture
async def bank(store: Any, open_bank: Callable[..., Awaitable[Bank]]) -> Bank:
    """A ledger on each kind of store."""
    return await open_bank(store)


@pytest.fixture
async def sqlite_bank(ledger_path: Path, open_bank: Callable[..., Awaitable[Bank]]) -> Bank:
    return await open_bank(SqliteStore(ledger_path))
