"""What all tasks of one orchestrator share, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from orchestrator.core.clock import Clock
from orchestrator.core.events import Event
from orchestrator.core.scope import Scope
from orchestrator.ledger.factory import directory_of, ledger_from_url
from orchestrator.ledger.protocol import Ledger
from orchestrator.models.pools import Pools
from orchestrator.models.protocol import ModelClient
from orchestrator.models.retry import RetryBudget
from orchestrator.policy.records import AgentPolicy
from orchestrator.pricing.book import PriceBook
from orchestrator.routing.latch import RefusalLatch
from orchestrator.runtime.shared.admitting import Admitting
from orchestrator.runtime.shared.background import Background
from orchestrator.runtime.shared.coursebook import Coursebook
from orchestrator.runtime.shared.engine import Engine
from orchestrator.runtime.shared.learner import Learner
from orchestrator.runtime.shared.memo_home import MemoHome
from orchestrator.runtime.storage.checkpoints import Saver, open_checkpoints
from orchestrator.runtime.storage.encryption import seal_from_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The ledger, the client and what else tasks work with.

    Where not ``is_heard``, no listener was given, and events that each hit makes need not be.
    """

    ledger: Ledger
    client: ModelClient
    engine: Engine
    clock: Clock
    prices: PriceBook
    latch: RefusalLatch
    pools: Pools
    saver: Saver
    memos: MemoHome
    learner: Learner
    background: Background
    admitting: Admitting
    emit: Callable[[Event], None]
    is_heard: bool = True
    coursebook: Coursebook = field(default_factory=Coursebook)
    retry_budgets: dict[str, RetryBudget] = field(default_factory=dict)

    def retry_budget(self, model: str) -> RetryBudget:
        """The retry budget of a model, shared by everyone who asks it."""
        return self.retry_budgets.setdefault(model, RetryBudget())


@asynccontextmanager
async def open_services(
    store: str,
    *,
    client: ModelClient,
    clock: Clock,
    emit: Callable[[Event], None],
    is_heard: bool,
    keep_bodies: timedelta | None,
    home: AgentPolicy,
    scope_here: Callable[[], Scope | None],
) -> AsyncIterator[Services]:
    """Open the ledger, the checkpoints and the engine, and load the client on the engine's loop.

    Raises:
        LedgerUnavailable: If the store cannot be opened.
        EncryptionError: If the environment's keys are none.
    """
    async with AsyncExitStack() as stack:
        seal = seal_from_environment()
        ledger = ledger_from_url(store, clock=clock, keep_bodies=keep_bodies, seal=seal)
        await ledger.open()
        stack.push_async_callback(ledger.aclose)
        engine = Engine()
        engine.start()
        stack.callback(engine.stop)
        await asyncio.wrap_future(engine.submit(client.open()))
        stack.push_async_callback(_close_client, engine, client)
        stack.push_async_callback(engine.idle)
        memos = MemoHome(
            directory_of(store),
            clock=clock,
            emit=emit,
            policy=home,
            scope_here=scope_here,
            seal=seal,
        )
        stack.push_async_callback(memos.aclose)
        learner = Learner(ledger, engine, clock)
        stack.push_async_callback(learner.aclose)
        background = Background(engine, clock)
        stack.push_async_callback(background.aclose)
        saver = await stack.enter_async_context(open_checkpoints(store, seal))
        yield Services(
            ledger=ledger,
            client=client,
            engine=engine,
            clock=clock,
            prices=PriceBook(),
            latch=RefusalLatch(clock),
            pools=Pools(clock),
            saver=saver,
            memos=memos,
            learner=learner,
            background=background,
            admitting=Admitting(clock, home.lanes, home.rates),
            emit=emit,
            is_heard=is_heard,
        )


async def _close_client(engine: Engine, client: ModelClient) -> None:
    await asyncio.wrap_future(engine.submit(client.aclose()))
