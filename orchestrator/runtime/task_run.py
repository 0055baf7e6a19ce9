"""One run of one task: what it owns, what it may still do, and how it stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
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
from orchestrator.runtime.engine import mirror
from orchestrator.runtime.journal import Journal, JournaledReply
from orchestrator.runtime.outlay import Outlay
from orchestrator.runtime.places import Place, Places
from orchestrator.runtime.services import Services
from orchestrator.runtime.slot import Phase, Slot

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
        cancelled: Set when ``cancel()`` wants the graph itself stopped.
        has_refused: Whether any node was refused.
        committed: What it has reserved and spent, the tasks inside it included.
        returned: Done once it is recorded how this run ended.
        purse: What it has spent on judging, by step.
        answers: What a person answered to questions about replies, by the journal key of the ask.
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
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _resting: set[Callable[[], object]] = field(default_factory=set)
    places: Places = field(default_factory=Places)
    broken: Fenced | LedgerUnavailable | None = None
    committed: Money = Money.ZERO
    returned: Future[None] = field(default_factory=Future)
    answers: dict[str, str] = field(default_factory=dict)
    _over: bool = False
    _closed: bool = False
    has_refused: bool = False
    _slots: set[Slot] = field(default_factory=set)
    _pending: set[Future[Any]] = field(default_factory=set)
    _tools: set[Future[None]] = field(default_factory=set)
    _asking: set[asyncio.Task[Any]] = field(default_factory=set)
    _children: set[TaskRun] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

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
            children, resting = tuple(self._children), tuple(self._resting)
        self.emit(TaskHalted(at=self.clock.now(), scope=self.scope, halt=halt))
        for child in children:
            child.latch(halt)
        for wake in resting:
            wake()
        if self.admits_nothing():
            self._stop_slots("waiting")
        return halt

    def started_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """The graph runs on ``loop``."""
        self._loop = loop

    def cancel(self) -> None:
        """Let the graph be cancelled, from whichever thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.cancelled.set)

    async def rest(self, seconds: float) -> None:
        """Let ``seconds`` pass, or less: a halt ends it."""
        woken, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._lock:
            self._resting.add(wake)
        if self.halt is not None:
            wake()
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        waking = asyncio.ensure_future(woken.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            with self._lock:
                self._resting.discard(wake)

    @asynccontextmanager
    async def until_halted(self) -> AsyncIterator[None]:
        """Wait inside for as long as the task does not halt.

        Raises:
            TimeoutError: If it halts.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as waiting:

            def stop() -> None:
                if not is_over and not waiting.expired():
                    waiting.reschedule(loop.time())

            def wake() -> None:
                loop.call_soon_threadsafe(stop)

            is_over = False
            with self._lock:
                self._resting.add(wake)
                has_halted = self.halt is not None
            if has_halted:
                wake()
            try:
                yield
            finally:
                is_over = True
                with self._lock:
                    self._resting.discard(wake)

    def cut(self) -> None:
        """Cancel what is on the wire: a deadline or ``cancel()``, nothing else."""
        with self._lock:
            children = tuple(self._children)
        for child in children:
            child.cut()
        for over in tuple(self._tools):
            over.cancel()
        self._stop_slots("waiting", "wire")

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

    # Attempts in flight

    def launch(self, slot: Slot, work: Any, key: str) -> Future[JournaledReply]:
        """Put an attempt on the engine's loop and keep hold of it until its end."""
        with self._lock:
            future: Future[JournaledReply] = self.services.engine.submit(work)
            self._slots.add(slot)
            self._pending.add(future)
            self.journal.in_flight[key] = future
        future.add_done_callback(lambda done: self._landed(slot, done, key))
        return future

    def attend(self, over: Future[None]) -> None:
        """A tool that holds money has started: wait for its end too, unless it is cut."""
        self._tools.add(over)
        over.add_done_callback(self._tools.discard)

    async def land(self) -> None:
        """Wait until every attempt in flight has come to its end."""
        while pending := self.pending():
            mirrors = [asyncio.wrap_future(mirror(one)) for one in pending]
            await asyncio.shield(asyncio.wait(mirrors))

    def pending(self) -> tuple[Future[Any], ...]:
        """Attempts that have not come to their end, those of tasks inside this one included."""
        with self._lock:
            own = (*self._pending, *self._tools)
            children = tuple(self._children)
        return own + tuple(future for child in children for future in child.pending())

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

    def keep(self, asking: asyncio.Task[Any]) -> None:
        """Hold on to a stream's ask whose reader may leave before its end."""
        with self._lock:
            self._asking.add(asking)
        asking.add_done_callback(self._forget)

    def withdraw(self, slot: Slot) -> None:
        """The asker has gone: stop waiting for money; what is on the wire goes on to its end."""
        self.services.engine.loop.call_soon_threadsafe(slot.stop, "waiting")

    def _forget(self, asking: asyncio.Task[Any]) -> None:
        with self._lock:
            self._asking.discard(asking)
        if not asking.cancelled():
            # Its reader raises it, or has left: then nobody is to be told.
            asking.exception()

    def _landed(self, slot: Slot, future: Future[JournaledReply], key: str) -> None:
        with self._lock:
            self._slots.discard(slot)
            self._pending.discard(future)
            if self.journal.in_flight.get(key) is future:
                del self.journal.in_flight[key]

    def _stop_slots(self, *phases: Phase) -> None:
        with self._lock:
            slots = tuple(self._slots)
        for slot in slots:
            self.services.engine.loop.call_soon_threadsafe(slot.stop, *phases)
