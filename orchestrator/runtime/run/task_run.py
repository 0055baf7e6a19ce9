"""One run of one task: what it owns, what it may still do, and how it stops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from orchestrator.budgets.demands import demands
from orchestrator.budgets.purse import Purse
from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.clock import Clock
from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.events import Event, TaskHalted
from orchestrator.core.halt import Halt, Halted, HaltReason
from orchestrator.core.money import Money
from orchestrator.core.priority import Priority
from orchestrator.core.scope import Scope
from orchestrator.ledger.protocol import Ledger
from orchestrator.ledger.records import Demand
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.gauge import Gauge
from orchestrator.limits.settings import CountedLimit, LimitSettings
from orchestrator.models.protocol import ModelClient
from orchestrator.policy.records import AgentPolicy
from orchestrator.runtime.run.alarm import Alarm
from orchestrator.runtime.run.in_flight import InFlight
from orchestrator.runtime.run.outlay import Outlay
from orchestrator.runtime.run.places import Place, Places
from orchestrator.runtime.shared.engine import mirror
from orchestrator.runtime.shared.services import Services
from orchestrator.runtime.storage.journal import Journal

HARD_STOPS: frozenset[HaltReason] = frozenset({"timeout", "paused", "cancelled"})
"""Reasons for which no further node starts; after others, nodes that ask nothing may still run."""

COUNTS: frozenset[HaltReason] = frozenset(get_args(CountedLimit))
"""Reasons that came after what was admitted before: that much was allowed, so it goes out."""


@dataclass(eq=False, kw_only=True)
class TaskRun:
    """The state of one run of one task, shared by its nodes, threads and attempts.

    Attributes:
        scope: Who it belongs to.
        epoch: The epoch under which it writes.
        policy: The rules of its agent.
        limits: Its limits, as this run may have changed them.
        rules: The budgets that apply, the task's own included, as this run may have changed them.
        services: What it runs with.
        journal: What it was already answered.
        gauge: Its counters.
        deadline: When its time is over.
        priority: How much it matters: that of the outermost task.
        parent: The run it is a part of, if it runs inside another task.
        outlay: What its last calls took.
        halt: Why it stops; latched, the first reason stays.
        halting: Rings when it halts.
        in_flight: Its attempts and tools on their way.
        cancelled: Set when ``cancel()`` wants the graph itself stopped.
        has_refused: Whether any node was refused.
        committed: What it has reserved and spent, the tasks inside it included.
        returned: Done once it is recorded how this run ended.
        purse: What it has spent on judging, by step.
        answers: What a person answered to questions about replies, by the journal key of the ask,
            and to those of tasks inside this one, by their way.
    """

    scope: Scope
    epoch: int
    policy: AgentPolicy
    limits: LimitSettings
    rules: tuple[BudgetRule, ...]
    services: Services
    journal: Journal
    gauge: Gauge
    deadline: Deadline
    purse: Purse
    priority: Priority = "normal"
    parent: TaskRun | None = None
    outlay: Outlay = field(default_factory=Outlay)
    halt: Halt | None = None
    halting: Alarm = field(default_factory=Alarm)
    in_flight: InFlight = field(init=False)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    places: Places = field(default_factory=Places)
    broken: Fenced | LedgerUnavailable | None = None
    committed: Money = Money.ZERO
    returned: Future[None] = field(default_factory=Future)
    answers: dict[str, Any] = field(default_factory=dict)
    _over: bool = False
    _closed: bool = False
    has_refused: bool = False
    _children: set[TaskRun] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Have a place for what will be on its way."""
        self.in_flight = InFlight(self.services.engine, self.journal)

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.services.ledger

    @property
    def client(self) -> ModelClient:
        """The client that asks models."""
        return self.services.client

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.services.clock

    def emit(self, event: Event) -> None:
        """Tell the listeners."""
        self.services.emit(event)

    def demands(self, now: datetime, *, finish: bool) -> tuple[Demand, ...]:
        """What one attempt asks of every budget that counts it, those of the parents included."""
        inherited = self.parent.demands(now, finish=finish) if self.parent else ()
        return demands(self.rules, self.scope, now, finish=finish, inherited=inherited)

    def attempt_timeout_s(self, step: str) -> float:
        """How long one attempt of ``step`` may take."""
        return self.policy.steps[step].timeout_s or self.limits.attempt_timeout_s

    def booked(self, change: Money) -> None:
        """Note that the task, and each around it, has ``change`` more reserved or spent."""
        with self._lock:
            self.committed += change
        if self.parent is not None:
            self.parent.booked(change)

    def money_left(self) -> Money | None:
        """What is left of the tightest task budget around here, its finish reserve left out."""
        around = self.parent.money_left() if self.parent else None
        left = [around] if around is not None else []
        left += [
            max(rule.serves - rule.finish_reserve - self.committed, Money.ZERO)
            for rule in self.rules
            if rule.scope == "task"
        ]
        return min(left, default=None)

    def money_allowed_nano(self) -> int | None:
        """The task's own budget, its finish reserve left out."""
        own = [rule.serves - rule.finish_reserve for rule in self.rules if rule.scope == "task"]
        return min(own).nano if own else None

    def latch(self, halt: Halt) -> Halt:
        """Stop: no attempt starts any more, here or in a task inside this one. First halt stays."""
        with self._lock:
            if self.halt is not None:
                return self.halt
            self.halt = halt
            children = tuple(self._children)
        self.emit(TaskHalted(at=self.clock.now(), scope=self.scope, halt=halt))
        for child in children:
            child.latch(halt)
        self.halting.ring()
        if self.admits_nothing():
            self.in_flight.stop("waiting")
        return halt

    def started_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """The graph runs on ``loop``."""
        self._loop = loop

    def cancel(self) -> None:
        """Let the graph be cancelled, from whichever thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.cancelled.set)

    def cut(self) -> None:
        """Cancel what is on the wire: a deadline or ``cancel()``, nothing else."""
        with self._lock:
            children = tuple(self._children)
        for child in children:
            child.cut()
        self.in_flight.cut()

    def break_off(self, error: Fenced | LedgerUnavailable) -> None:
        """This run can or may write no more: nothing starts, and nothing that runs commits."""
        self.broken = self.broken or error
        self.latch(Halt(reason="cancelled", scope="task", detail=str(error)))
        self.close()

    def stopped(self) -> Halt | None:
        """Why nothing may be asked any more; ``None`` while it may."""
        if self.halt is None and self._over:
            detail = "The task's graph has ended; what it left behind is not answered."
            return Halt(reason="cancelled", scope="task", detail=detail)
        return self.halt

    def graph_ended(self) -> None:
        """The graph is over: bodies it left behind (``gather`` can) ask in vain."""
        self._over = True

    def refuse(self, halt: Halt, place: Place) -> Halted:
        """Latch ``halt`` where it applies, mark the node; the caller raises what this returns."""
        if self._over and self.halt is None:
            return Halted(halt)
        halt = self.halt_for(halt)
        self.has_refused = True
        place.refuse()
        return Halted(halt)

    def halt_for(self, halt: Halt) -> Halt:
        """Latch ``halt`` in the outermost task that it concerns, and so in those inside it."""
        self._concerned(halt).latch(halt)
        return self.latch(halt)

    def _concerned(self, halt: Halt) -> TaskRun:
        """The outermost run of those around this one that the same budget or limit stops."""
        concerned = self
        run: TaskRun | None = self
        while run is not None:
            if run.scope.task_id == halt.holder or any(
                rule.scope == halt.scope and run.scope.identity(rule.scope) == halt.holder
                for rule in run.rules
            ):
                concerned = run
            run = run.parent
        return concerned

    @property
    def is_left_behind(self) -> bool:
        """Whether its graph went on when it was told to stop: what becomes of it does not count."""
        return self._closed

    def was_refused(self, place: Place | None) -> bool:
        """Whether a node's result must be dropped; ``None`` for what is no node."""
        return place is not None and (self._closed or place.refused)

    def close(self) -> None:
        """Drop the results of whatever still runs."""
        self._closed = True

    async def owns_task(self) -> bool:
        """Whether this run may still write for the task."""
        return not self._closed and await self.ledger.epoch(self.scope.task_id) == self.epoch

    def admits_nothing(self) -> bool:
        """Whether not even an attempt that was admitted before the halt may go out."""
        stopped = self.stopped()
        return stopped is not None and stopped.reason not in COUNTS

    def halt_or_timeout(self, step: str | None) -> Halt:
        """The latched halt, or that of the deadline which ended a wait before anyone latched it."""
        return self.halt or self.deadline.check(step) or self.deadline.halt(step)

    def signalled(self, reason: HaltReason) -> Halt:
        """The halt of a signal from outside."""
        detail = f"The task was {reason} from outside; resume to go on."
        return Halt(reason, "task", detail=detail, holder=self.scope.task_id)

    def node_may_start(self, place: Place) -> bool:
        """Count a node execution; ``False`` if it must not start."""
        if self.halt is not None and self.halt.reason in HARD_STOPS:
            self.refuse(self.halt, place)
            return False
        if halt := self.gauge.before_step(place.digest):
            self.refuse(halt, place)
            return False
        self.ledger.mark(self.scope.task_id, "steps", place.digest)
        return True

    def tool_may_start(self, place: Place, key: str) -> Halted | None:
        """Count a tool call, ``TOOL|DIGEST``; what to raise if it must not start."""
        if halt := self.stopped() or self.gauge.before_tool_call(key):
            return self.refuse(halt, place)
        self.ledger.mark(self.scope.task_id, "tool_calls", key)
        return None

    async def land(self) -> None:
        """Wait until every attempt in flight has come to its end."""
        while pending := self.pending():
            mirrors = [asyncio.wrap_future(mirror(one)) for one in pending]
            await asyncio.shield(asyncio.wait(mirrors))

    def pending(self) -> tuple[Future[Any], ...]:
        """What has not come to its end, of tasks inside this one too."""
        with self._lock:
            children = tuple(self._children)
        return self.in_flight.pending() + tuple(
            future for child in children for future in child.pending()
        )

    def adopt(self, child: TaskRun) -> None:
        """A task runs inside this one from now on."""
        with self._lock:
            self._children.add(child)
            halt = self.halt
        if halt is not None:
            child.latch(halt)

    def release(self, child: TaskRun) -> None:
        """A task that ran inside this one has returned."""
        with self._lock:
            self._children.discard(child)
