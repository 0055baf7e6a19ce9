"""Any sequence of operations, on a database with the store in memory as its oracle.

Both must answer the same; at every commit no account is over its limit; at every step each balance
is the fold of its attempts.
"""

import asyncio
import itertools
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.stored import StoredLedger
from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.sqlite import SqliteStore

TASKS = {"outer": (), "inner": ("outer",), "innermost": ("outer", "inner"), "beside": ()}
ACCOUNTS = {
    "org": Account("org", "acme", "total"),
    "team": Account("team", "acme/research", "total"),
    **{task: Account("task", task, "task") for task in TASKS},
}
START = datetime(2026, 11, 20, 12, tzinfo=UTC)

tasks = st.sampled_from(sorted(TASKS))
amounts = st.integers(0, 40)
parts = st.fractions(0, 1)
picks = st.integers(0, 1000)


class Clock:
    time = START

    def now(self):
        return self.time


@dataclass
class Side:
    """One of the two ledgers, with the asks it has not answered."""

    ledger: StoredLedger
    waiting: dict[str, asyncio.Task[Any]]

    def take_answers(self):
        """What became of those who asked, as far as it is known."""
        done = {name: task for name, task in self.waiting.items() if task.done()}
        for name in done:
            del self.waiting[name]
        return {
            name: "cancelled" if task.cancelled() else type(task.exception()).__name__
            for name, task in done.items()
        }


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.numbers = itertools.count()
        self.epochs = dict.fromkeys(TASKS, 1)
        self.open: list[tuple[str, int]] = []
        self.limits: dict[str, int] = {}
        self.reserves: dict[str, int] = {}
        self.violations: list[object] = []
        self.durable = self.make_store()
        self.memory = MemoryStore()
        self.sides = [
            Side(StoredLedger(store, self.clock), {}) for store in (self.durable, self.memory)
        ]

    def make_store(self):
        return SqliteStore(Path(self.folder.name) / "ledger.db", faults=self.inspect)

    def inspect(self, point):
        """Promise 1, at every commit. An account may only begin above its limit."""
        if point == "after commit":
            for row, seed in self.durable.accounts():
                committed = row.settled + row.reserved + row.disputed
                if committed > max(self.limits[row.key], seed.settled):
                    self.violations.append((row.key, committed))

    def both(self, act):
        """Do it on both sides; they must answer the same."""
        outcomes = []
        for side in self.sides:
            try:
                outcomes.append(self.loop.run_until_complete(act(side)))
            except Exception as error:
                outcomes.append((type(error).__name__, str(error)))
            self.loop.run_until_complete(side.ledger.epoch(""))
            self.loop.run_until_complete(asyncio.sleep(0))
        assert outcomes[0] == outcomes[1]
        answers = [side.take_answers() for side in self.sides]
        assert answers[0] == answers[1]
        for name, answer in answers[0].items():
            if answer == "NoneType":
                self.open.append((name, self.reserves[name]))
        return outcomes[0]

    @initialize(limits=st.fixed_dictionaries({name: st.integers(0, 120) for name in ACCOUNTS}))
    def begin(self, limits):
        self.limits = {ACCOUNTS[name].key: limit for name, limit in limits.items()}

        async def act(side):
            await side.ledger.open()
            for task_id, ancestors in TASKS.items():
                scope = Scope("acme", "research", "writer", task_id, "t", ancestors=ancestors)
                await side.ledger.open_task(
                    TaskOpening(
                        scope=scope,
                        owner="p",
                        graph="g",
                        policy="p",
                        input_type="json",
                        input_body=b"{}",
                        at=self.clock.now(),
                    )
                )

        self.both(act)

    def path(self, task, *, withheld):
        names = ["org", "team", *TASKS[task], task]
        return [
            Demand(account, Money(self.limits[account.key]), Money(withheld))
            for account in map(ACCOUNTS.get, names)
        ]

    def intent(self, task, reserve):
        intent = AttemptIntent(
            attempt_id=f"a{next(self.numbers)}",
            task_id=task,
            epoch=self.epochs[task],
            key="k",
            request_hash="h",
            step="s",
            kind="ask",
            model="m",
            provider_model="m",
            reserve=Money(reserve),
            expires_at=self.clock.now() + timedelta(seconds=100),
            at=self.clock.now(),
        )
        self.reserves[intent.attempt_id] = reserve
        return intent

    @rule(asks=st.lists(st.tuples(tasks, amounts, st.booleans(), st.sampled_from([0, 0, 10]))))
    def ask(self, asks):
        made = [
            (self.intent(task, reserve), [] if is_free else self.path(task, withheld=withheld))
            for task, reserve, is_free, withheld in asks
        ]

        async def act(side):
            for intent, demands in made:
                side.waiting[intent.attempt_id] = asyncio.create_task(
                    side.ledger.reserve(intent, demands)
                )
            await asyncio.sleep(0)

        self.both(act)

    @rule(ends=st.lists(st.tuples(picks, parts, amounts, st.booleans()), max_size=4))
    def end(self, ends):
        made = []
        for pick, part, overrun, is_released in ends:
            if not self.open:
                break
            name, reserve = self.open.pop(pick % len(self.open))
            made.append(
                AttemptEnd(
                    attempt_id=name,
                    end="released" if is_released else "settled",
                    cost=Money(0 if is_released else int(reserve * part)),
                    overrun=Money(0 if is_released else overrun),
                    certainty="known",
                    seconds=1.0,
                    at=self.clock.now(),
                    reply=b"r",
                )
            )

        async def act(side):
            ended = await asyncio.gather(
                *(side.ledger.end(end) for end in made), return_exceptions=True
            )
            return [type(outcome).__name__ for outcome in ended]

        self.both(act)

    @rule(pick=picks)
    def cancel(self, pick):
        async def act(side):
            if side.waiting:
                name = sorted(side.waiting)[pick % len(side.waiting)]
                side.waiting[name].cancel()
                await asyncio.wait([side.waiting[name]])

        self.both(act)

    @rule(task=tasks, amount=amounts)
    def cancel_at_once(self, task, amount):
        """The grant, if there is one, races with the cancellation."""
        intent = self.intent(task, amount)

        async def act(side):
            asking = asyncio.create_task(side.ledger.reserve(intent, self.path(task, withheld=0)))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])

        self.both(act)

    @rule(task=tasks)
    def take_over(self, task):
        async def act(side):
            record = await side.ledger.take_over(task, owner="q", add_budget=Money(1))
            return record, [await side.ledger.epoch(name) for name in TASKS]

        _, epochs = self.both(act)
        self.epochs = dict(zip(TASKS, epochs, strict=True))

    @rule(task=tasks)
    def signal(self, task):
        self.both(lambda side: side.ledger.signal(task, "paused"))

    @rule(task=tasks, status=st.sampled_from(["halted", "failed", "completed"]))
    def close_task(self, task, status):
        closing = TaskClosing(
            task_id=task,
            epoch=self.epochs[task],
            status=status,
            running_s=1.0,
            at=self.clock.now(),
            halt=Halt("paused", "task") if status == "halted" else None,
        )
        self.both(lambda side: side.ledger.close_task(closing))

    @rule(seconds=st.integers(0, 200), has_died=st.booleans())
    def expire(self, seconds, has_died):
        self.clock.time += timedelta(seconds=seconds)

        async def act(side):
            if has_died:
                side.ledger._writer.transactor.living.clear()
            return await side.ledger.expire_overdue()

        self.both(act)

    @invariant()
    def both_sides_hold_the_same_and_are_sound(self):
        if not self.limits:
            return

        async def act(side):
            assert (await side.ledger.verify()).is_sound
            return (
                await side.ledger.balances(list(ACCOUNTS.values())),
                [await side.ledger.history(task) for task in TASKS],
                [await side.ledger.task(task) for task in TASKS],
                await side.ledger.in_doubt(),
                sorted(side.waiting),
            )

        self.both(act)
        assert self.violations == []

    def teardown(self):
        for side in self.sides:
            self.loop.run_until_complete(side.ledger.aclose())
            if side.waiting:
                self.loop.run_until_complete(asyncio.wait(side.waiting.values()))
                side.take_answers()
        self.loop.close()
        self.folder.cleanup()


class PostgresMachine(LedgerMachine):
    server = ""
    schemas = itertools.count()

    def make_store(self):
        postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
        url = f"{self.server}&schema=machine{next(self.schemas)}"
        return postgres.PostgresStore(url, server_clock=False, faults=self.inspect)


class TestAnySequenceOfOperationsOnSqlite(LedgerMachine.TestCase):
    settings = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


class TestAnySequenceOfOperationsOnPostgres(PostgresMachine.TestCase):
    settings = settings(TestAnySequenceOfOperationsOnSqlite.settings, max_examples=15)

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server):
        PostgresMachine.server = postgres_server
