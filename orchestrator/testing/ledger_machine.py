"""Any history of a ledger, on stores of yours, with the store in memory as their model.

A history is drawn as bytes: eight for each step, which say what is done and with what. Drawn in one
go they cost next to nothing, so the time goes into the ledgers; and a nought does nothing, so
Hypothesis shrinks a history that fails to the few steps that matter.

Every store carries out the same batches and must answer as the model does, no account may ever be
above its limit, and in the end all facts, bodies and balances must be the model's, which are the
fold of its attempts.

The stores stay open from one history to the next, for to make a database costs more than to use it;
each history has tasks and accounts of its own there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.bookkeeping.waiting import Ask
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.testing.teller import Teller

TASKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"outer": (), "inner": ("outer",), "innermost": ("outer", "inner"), "beside": ()}
)
"""The tasks of every history, each with those around it."""
STEP_BYTES = 8
MAX_BATCH = 8
KEPT = timedelta(hours=1)

_START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_BUDGETS = ("org", "team", *TASKS)
_TIGHT = 120
_TASK = tuple(TASKS)
_AMOUNT = range(41)
_WAY = ("path", "path", "path", "free", "withheld", "fenced")
_TURN = (*["take over"] * 5, "pause", "halted", "failed", "completed")
_PICK = range(256)


class _Rule(NamedTuple):
    """What may happen, how often, and the choices for each argument."""

    share: int
    name: str
    choices: tuple[Sequence[object], ...] = ()


_RULES = (
    _Rule(3, "commit"),  # the first, for noughts choose it
    _Rule(12, "ask", (_TASK, _AMOUNT, _WAY)),
    _Rule(5, "ask_thrice", (_TASK, _AMOUNT, _TASK, _AMOUNT, _TASK, _AMOUNT)),
    _Rule(14, "end", (_PICK, range(5), (0, 0, 7))),
    _Rule(2, "end_again", (_PICK,)),
    _Rule(2, "withdraw", (_PICK,)),
    _Rule(4, "note", (_TASK, _PICK)),
    _Rule(2, "turn", (_TASK, _TURN)),
    _Rule(3, "expire", (range(201), ("lives", "lives", "lives", "dies"))),
    _Rule(2, "remember_nothing"),
)


def history_bytes(steps: int) -> int:
    """How many bytes say what a history of so many steps does."""
    return (1 + steps) * STEP_BYTES


class MachineClock:
    """The time of all histories; each begins at the same."""

    def __init__(self) -> None:
        """Show the time at which every history begins."""
        self.time = _START

    def now(self) -> datetime:
        """The time."""
        return self.time


class LedgerMachine:
    """Carries out one history on several stores and on the model."""

    _histories: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self, tellers: Mapping[str, Teller], clock: MachineClock) -> None:
        """Make a model, and names that no store has seen.

        Args:
            tellers: The stores, open, by name; they outlive the history.
            clock: The time that the tellers go by.
        """
        self.clock = clock
        self.clock.time = _START
        self._suffix = f"-{next(self._histories)}"
        self._memory = MemoryStore()
        self._model = Teller(self._memory, self.clock.now, keep_bodies=KEPT)
        self._model.open()
        self._all = {"the model": self._model, **tellers}
        self._numbers = itertools.count()
        self._epochs = dict.fromkeys(TASKS, 1)
        self._limits: dict[str, int] = {}
        self._queued: list[Callable[[Teller], Operation]] = []
        self._asked: dict[str, list[Ask]] = {}
        self._open: list[tuple[str, int]] = []
        self._told: list[str] = []

    def play(self, drawn: bytes) -> None:
        """Carry out what these bytes say.

        Args:
            drawn: :func:`history_bytes` of them: what each budget has and what may happen at all,
                then the steps.

        Raises:
            AssertionError: If a store does not do what the model does; its notes are the steps.
        """
        first, *steps = (
            drawn[start : start + STEP_BYTES] for start in range(0, len(drawn), STEP_BYTES)
        )
        left_out = int.from_bytes(first[len(_BUDGETS) :])
        rules = [
            rule
            for number, rule in enumerate(_RULES)
            if number == 0 or not left_out >> number & left_out & 1
            for _ in range(rule.share)
        ]
        try:
            self._begin(first)
            for what, *how in steps:
                rule = rules[what * len(rules) >> 8]
                chosen = [
                    choices[byte % len(choices)]
                    for choices, byte in zip(rule.choices, how, strict=False)
                ]
                self._told.append(" ".join(map(str, (rule.name, *chosen))))
                getattr(self, f"_{rule.name}")(*chosen)
            self._finish()
        except Exception as error:
            for told in self._told:
                error.add_note(told)
            raise

    def _begin(self, drawn: bytes) -> None:
        """Open four tasks, three of them inside each other; about half of the budgets are tight."""
        self._limits = {
            self._account(name).key: byte if byte < _TIGHT else byte * 15
            for name, byte in zip(_BUDGETS, drawn, strict=False)
        }
        self._told.append(f"limits {[*self._limits.values()]}")
        for name in TASKS:
            opening = TaskOpening(
                scope=self._scope(name),
                owner="p",
                graph="g",
                policy="p",
                input_type="json",
                input_body=b"{}",
                at=self.clock.time,
            )
            self._queued.append(methodcaller("open_task", opening))
        self._commit()

    def _ask(self, task: str, reserve: int, how: str) -> None:
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

    def _ask_thrice(self, *asks: str | int) -> None:
        """Reserve three times, most likely in one transaction."""
        for task, reserve in zip(asks[::2], asks[1::2], strict=True):
            self._ask(str(task), int(reserve), "path")

    def _end(self, pick: int, part: int, overrun: int) -> None:
        """Settle an attempt at a part of its reserve; at none of it, release it."""
        if not self._open:
            return
        attempt_id, reserve = self._open.pop(pick % len(self._open))
        ended = replace(
            self._released(attempt_id),
            end="settled" if part else "released",
            cost=Money(reserve * part // 4),
            overrun=Money(overrun if part else 0),
            reply=b"reply" if part else None,
        )
        self._queue(lambda teller: teller.end(ended))

    def _end_again(self, pick: int) -> None:
        """Resolve an attempt that may have been resolved before, or never made."""
        ended = self._released(f"{pick % (next(self._numbers) + 1)}{self._suffix}")
        self._queue(lambda teller: teller.end(ended))

    def _withdraw(self, pick: int) -> None:
        """Undo an ask that waits, or was granted."""
        known = [*self._asked, *(attempt_id for attempt_id, _ in self._open)]
        if known:
            attempt_id = known[pick % len(known)]
            self._asked.pop(attempt_id, None)
            self._queue(lambda teller: teller.withdraw(attempt_id))

    def _note(self, task: str, pick: int) -> None:
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
            ended = replace(self._released(intent.attempt_id), end="settled", saved=Money(pick))
            self._queue(lambda teller: teller.hit(intent, ended))

    def _turn(self, task: str, what: str) -> None:
        """Take a task over, with more money; ask it to stop; or let its run return."""
        task_id = task + self._suffix
        match what:
            case "take over":
                self._queue(
                    lambda teller: teller.take_over(
                        task_id, add_budget=Money(1), extend={"steps": 1.0}
                    )
                )
                self._commit()
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

    def _expire(self, seconds: int, owner: str) -> None:
        """Let time pass, and perhaps the owner of all open attempts die."""
        self.clock.time += timedelta(seconds=seconds)
        if owner == "dies":
            self._commit()
            for teller in self._all.values():
                teller.disown()
        self._queue(Teller.expire_overdue)

    def _commit(self) -> None:
        """Carry out what is queued, in one transaction."""
        if not self._queued:
            return
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

    def _remember_nothing(self) -> None:
        """As if another process had written: everything is read from the stores anew."""
        for teller in self._all.values():
            teller.forget()

    def _finish(self) -> None:
        """Leave nothing open, and see that every store holds what the model does."""
        self._commit()
        for teller in self._all.values():
            teller.disown()
            teller.dismiss()
        self.clock.time += timedelta(days=1)
        self._queue(Teller.expire_overdue)
        self._commit()
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
            *(store.courses(self._scope(task), 2) for task in ("outer", "beside")),
            *(sorted(store.rests(self._scope(task), "s", 2)) for task in ("outer", "beside")),
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
            self._commit()

    def _scope(self, name: str) -> Scope:
        org, tenant = f"acme{self._suffix}", "u" if name == "beside" else "t"
        ancestors = tuple(ancestor + self._suffix for ancestor in TASKS[name])
        return Scope(org, "research", "writer", name + self._suffix, tenant, ancestors=ancestors)

    def _account(self, name: str) -> Account:
        match name:
            case "org":
                return Account("org", f"acme{self._suffix}", "total")
            case "team":
                return Account("team", f"acme{self._suffix}/research", "total")
            case _:
                return Account("task", name + self._suffix, "task")

    def _released(self, attempt_id: str) -> AttemptEnd:
        return AttemptEnd(
            attempt_id=attempt_id,
            end="released",
            cost=Money.ZERO,
            certainty="known",
            seconds=1.0,
            at=self.clock.time,
        )

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
