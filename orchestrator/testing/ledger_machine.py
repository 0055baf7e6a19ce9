"""Any history of a ledger, on stores of yours, with the store in memory as their model.

Hypothesis draws operations and when they are committed. Every store carries out the same batches
and must answer as the model does, no account may ever be above its limit, and in the end all facts,
bodies and balances must be the model's, which are the fold of its attempts.

The stores stay open from one example to the next, for to make a database costs more than to use
it; each example has tasks and accounts of its own there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from operator import methodcaller
from types import MappingProxyType
from typing import ClassVar, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.memory import MemoryStore
from orchestrator.ledger.operation import Operation
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.unit import UnitOfWork
from orchestrator.ledger.waiting import Ask
from orchestrator.testing.teller import Teller

TASKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"outer": (), "inner": ("outer",), "innermost": ("outer", "inner"), "beside": ()}
)
"""The tasks of every example, each with those around it."""
MAX_BATCH = 6
KEPT = timedelta(hours=1)

_START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_BUDGETS = ("org", "team", *TASKS)
_WAYS = ("path", "path", "path", "free", "withheld", "fenced")
_TURNS = ("take over", "take over", "take over", "pause", "halted", "failed", "completed")
_tasks = st.sampled_from(sorted(TASKS))
_amounts = st.integers(0, 40)
_limits = st.integers(0, 120) | st.integers(200, 2000)
_picks = st.integers(0, 999)


class MachineClock:
    """The time of all examples; each begins at the same."""

    def __init__(self) -> None:
        """Show the time at which every example begins."""
        self.time = _START

    def now(self) -> datetime:
        """The time."""
        return self.time


class LedgerMachine(RuleBasedStateMachine):
    """A history. Subclass it with stores of yours.

    Attributes:
        clock: The time that the tellers go by.
        tellers: The stores, open, by name; they outlive an example.
    """

    clock: ClassVar[MachineClock]
    tellers: ClassVar[Mapping[str, Teller]]
    _examples: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self) -> None:
        """Make a model, and names that no store has seen."""
        super().__init__()
        self.clock.time = _START
        self._suffix = f"-{next(self._examples)}"
        self._memory = MemoryStore()
        self._model = Teller(self._memory, self.clock.now, keep_bodies=KEPT)
        self._model.open()
        self._all = {"the model": self._model, **self.tellers}
        self._numbers = itertools.count()
        self._epochs = dict.fromkeys(TASKS, 1)
        self._limits: dict[str, int] = {}
        self._queued: list[Callable[[Teller], Operation]] = []
        self._asked: dict[str, list[Ask]] = {}
        self._open: list[tuple[str, int]] = []

    @initialize(limits=st.tuples(*(_limits for _ in _BUDGETS)))
    def begin(self, limits: tuple[int, ...]) -> None:
        """Open four tasks, three of them inside each other."""
        self._limits = {
            self._account(name).key: limit for name, limit in zip(_BUDGETS, limits, strict=True)
        }
        for name, ancestors in TASKS.items():
            scope = Scope(
                org=f"acme{self._suffix}",
                team="research",
                agent="writer",
                task_id=name + self._suffix,
                tenant="t",
                ancestors=tuple(ancestor + self._suffix for ancestor in ancestors),
            )
            opening = TaskOpening(
                scope=scope,
                owner="p",
                graph="g",
                policy="p",
                input_type="json",
                input_body=b"{}",
                at=self.clock.time,
            )
            self._queued.append(methodcaller("open_task", opening))
        self.commit()

    @rule(task=_tasks, reserve=_amounts, how=st.sampled_from(_WAYS))
    def ask(self, task: str, reserve: int, how: str) -> None:
        """Reserve on the whole path, on nothing, on less of it, or for an owner of before."""
        intent = self._intent(task, reserve)
        if how == "fenced":
            intent = replace(intent, epoch=intent.epoch - 1)
        withheld = Money(10 if how == "withheld" else 0)
        path = [] if how == "free" else ["org", "team", *TASKS[task], task]
        demands = [
            Demand(account, Money(self._limits[account.key]), withheld)
            for account in map(self._account, path)
        ]
        self._queue(lambda teller: teller.reserve(intent, demands))

    @rule(asks=st.lists(st.tuples(_tasks, _amounts), min_size=1, max_size=3))
    def ask_at_once(self, asks: list[tuple[str, int]]) -> None:
        """Reserve several times."""
        for task, reserve in asks:
            self.ask(task=task, reserve=reserve, how="path")

    @rule(pick=_picks, part=st.integers(0, 4), overrun=st.sampled_from([0, 0, 7]))
    def end(self, pick: int, part: int, overrun: int) -> None:
        """Settle an attempt at a part of its reserve; at none of it, release it."""
        if not self._open:
            return
        attempt_id, reserve = self._open.pop(pick % len(self._open))
        ended = AttemptEnd(
            attempt_id=attempt_id,
            end="settled" if part else "released",
            cost=Money(int(reserve * Fraction(part, 4))),
            overrun=Money(overrun if part else 0),
            certainty="known",
            seconds=1.0,
            at=self.clock.time,
            reply=b"reply" if part else None,
        )
        self._queue(lambda teller: teller.end(ended))

    @rule(pick=_picks)
    def end_again(self, pick: int) -> None:
        """Resolve an attempt that may have been resolved before, or never made."""
        attempt_id = f"{pick % (next(self._numbers) + 1)}{self._suffix}"
        ended = AttemptEnd(
            attempt_id=attempt_id,
            end="released",
            cost=Money.ZERO,
            certainty="known",
            seconds=1.0,
            at=self.clock.time,
        )
        self._queue(lambda teller: teller.end(ended))

    @rule(pick=_picks)
    def withdraw(self, pick: int) -> None:
        """Undo an ask that waits, or was granted."""
        known = [*self._asked, *(attempt_id for attempt_id, _ in self._open)]
        if known:
            attempt_id = known[pick % len(known)]
            self._asked.pop(attempt_id, None)
            self._queue(lambda teller: teller.withdraw(attempt_id))

    @rule(task=_tasks, pick=_picks)
    def note(self, task: str, pick: int) -> None:
        """Note a mark, a decision, or a hit of the memo."""
        if pick % 3 == 0:
            self._queue(lambda teller: teller.mark(task + self._suffix, "steps", str(pick % 5)))
        elif pick % 3 == 1 and self._open:
            attempt_id, _ = self._open[pick % len(self._open)]
            decision = Decision(
                task_id=task + self._suffix,
                key=str(pick % 5),
                step="s",
                attempt_id=attempt_id,
                accepted=bool(pick % 2),
                confidence=None,
                confidence_state="uncalibrated",
                at=self.clock.time,
            )
            self._queue(lambda teller: teller.decide(decision))
        else:
            intent = self._intent(task, 0, kind="memo")
            ended = AttemptEnd(
                attempt_id=intent.attempt_id,
                end="settled",
                cost=Money.ZERO,
                certainty="known",
                seconds=0.0,
                at=self.clock.time,
                saved=Money(pick),
            )
            self._queue(lambda teller: teller.hit(intent, ended))

    @rule(task=_tasks, what=st.sampled_from(_TURNS))
    def turn(self, task: str, what: str) -> None:
        """Take a task over, with more money; ask it to stop; or let its run return."""
        task_id = task + self._suffix
        match what:
            case "take over":
                self._queue(
                    lambda teller: teller.take_over(
                        task_id, add_budget=Money(1), extend={"steps": 1.0}
                    )
                )
                self.commit()
                for name in TASKS:
                    state = self._memory.task(name + self._suffix)
                    assert state is not None
                    self._epochs[name] = state.epoch
            case "pause":
                self._queue(lambda teller: teller.signal(task_id, "paused"))
            case "halted" | "failed" | "completed":
                closing = TaskClosing(
                    task_id=task_id,
                    epoch=self._epochs[task],
                    status=what,
                    running_s=1.0,
                    at=self.clock.time,
                    halt=Halt("paused", "task") if what == "halted" else None,
                    output=("json", b"{}") if what == "completed" else None,
                )
                self._queue(lambda teller: teller.close_task(closing))

    @rule(seconds=st.integers(0, 200), has_died=st.booleans())
    def expire(self, seconds: int, *, has_died: bool) -> None:
        """Let time pass, and perhaps the owner of all open attempts die."""
        self.commit()
        self.clock.time += timedelta(seconds=seconds)
        if has_died:
            for teller in self._all.values():
                teller.disown()
        self._queue(Teller.expire_overdue)

    @rule()
    def commit(self) -> None:
        """Carry out what is queued, in one transaction."""
        made = [[make(teller) for make in self._queued] for teller in self._all.values()]
        self._queued.clear()
        for teller, batch in zip(self._all.values(), made, strict=True):
            is_recorded = teller.carry_out(batch)
            assert is_recorded, [one.error for one in batch]
        for same in zip(*made, strict=True):
            if isinstance(same[0], Ask):
                self._asked[same[0].intent.attempt_id] = [one for one in same if type(one) is Ask]
            self._agree(*((one.result, type(one.error), str(one.error)) for one in same))
        for attempt_id, asks in list(self._asked.items()):
            self._agree(*((ask.wait_at, type(ask.error), str(ask.error)) for ask in asks))
            if asks[0].wait_at is None:
                del self._asked[attempt_id]
                if asks[0].error is None:
                    self._open.append((attempt_id, asks[0].intent.reserve.nano))
        self._see_that_no_limit_is_passed()

    @rule()
    def remember_nothing(self) -> None:
        """As if another process had written: everything is read from the stores anew."""
        for teller in self._all.values():
            teller.forget()

    def teardown(self) -> None:
        """Leave nothing open, and see that every store holds what the model does."""
        self.commit()
        for teller in self._all.values():
            teller.disown()
            teller.dismiss()
        self.clock.time += timedelta(days=1)
        self._queue(Teller.expire_overdue)
        self.commit()
        verification = self._model.verify()
        assert verification.is_sound, verification
        self._agree(*(teller.read(self._facts) for teller in self._all.values()))

    def _facts(self, unit: UnitOfWork) -> list[object]:
        """All that a store holds of this example."""
        store = unit.flushed()
        task_ids = [task + self._suffix for task in TASKS]
        return [
            *(store.task(task_id) for task_id in task_ids),
            *(store.history(task_id) for task_id in task_ids),
            *(store.in_doubt(task_id) for task_id in task_ids),
            *(store.descendants(task_id) for task_id in task_ids),
            unit.balances([self._account(name) for name in _BUDGETS]),
        ]

    def _see_that_no_limit_is_passed(self) -> None:
        """Promise 1. An account may only begin above its limit."""
        for row, seed in self._memory.accounts():
            committed = row.settled + row.reserved + row.disputed
            assert committed <= max(self._limits[row.key], seed.settled), row

    def _agree(self, *told: object) -> None:
        for name, one in zip(self._all, told, strict=True):
            assert one == told[0], f"{name} says {one}, the model {told[0]}"

    def _queue(self, make: Callable[[Teller], Operation]) -> None:
        self._queued.append(make)
        if len(self._queued) == MAX_BATCH:
            self.commit()

    def _account(self, name: str) -> Account:
        match name:
            case "org":
                return Account("org", f"acme{self._suffix}", "total")
            case "team":
                return Account("team", f"acme{self._suffix}/research", "total")
            case _:
                return Account("task", name + self._suffix, "task")

    def _intent(
        self, task: str, reserve: int, *, kind: Literal["ask", "memo"] = "ask"
    ) -> AttemptIntent:
        return AttemptIntent(
            attempt_id=f"{next(self._numbers)}{self._suffix}",
            task_id=task + self._suffix,
            epoch=self._epochs[task],
            key="k",
            request_hash="h",
            step="s",
            kind=kind,
            model="m",
            provider_model="m",
            reserve=Money(reserve),
            expires_at=self.clock.time + timedelta(seconds=100),
            at=self.clock.time,
        )
