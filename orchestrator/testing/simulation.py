"""A simulation: processes that die, sleep and have wrong clocks run tasks on one ledger.

Time is virtual, nothing runs beside anything else, and every choice is drawn from a seed: it makes
one history, on any store, and makes it again. After each transaction an auditor sees that the
promises hold; in the end, when the faults have stopped, nothing may be left open.

::

    simulate(seed=7, make_store=lambda time: MyStore(path))

Rules, transactions, budgets and windows are the product's own; tasks are those of
:mod:`orchestrator.testing.simulated_task`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias, cast

from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.bookkeeping.waiting import Ask
from orchestrator.ledger.stores.store import Store
from orchestrator.testing.auditor import Auditor
from orchestrator.testing.simulated_task import Plan, Script, draw_plans, live
from orchestrator.testing.teller import Teller
from orchestrator.testing.unreliable_store import FAULTS, Commits, UnreliableStore

PROCESSES = 4
TASKS = 7
FAULTY_S = 2 * 3600.0
"""How long faults are injected; afterwards what is left comes to its end in peace."""
CALM_S = 48 * 3600.0
MAX_RESUMES = 12
"""In peace; a task that no money is left for stays halted then."""
_START = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
"""An hour and a half before clocks go back in Berlin."""


class VirtualTime:
    """Seconds since the start, the same for all; clocks on walls show other things."""

    seconds = 0.0


MakeStore: TypeAlias = Callable[[VirtualTime], Store]


@dataclass(slots=True)
class Waiter:
    """A script that waits for an operation; ``None`` once it has given up."""

    operation: Operation
    script: Script | None

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer; an ask for money may have to wait for it."""
        one = self.operation
        return not isinstance(one, Ask) or one.error is not None or one.wait_at is None


@dataclass(eq=False, slots=True)
class Process:
    """One process: a ledger of its own, and a clock."""

    name: str
    time: VirtualTime
    store: UnreliableStore
    skew: timedelta = timedelta(0)
    asleep_until: float = 0.0
    is_dead: bool = False
    is_busy: bool = False
    queued: list[Waiter] = field(default_factory=list)
    unanswered: list[Waiter] = field(default_factory=list)
    tasks: set[str] = field(default_factory=set)
    teller: Teller = field(init=False)

    def __post_init__(self) -> None:
        """Open its ledger."""
        self.teller = Teller(cast("Store", self.store), self.now)
        self.teller.open()

    def now(self) -> datetime:
        """What its clock shows."""
        return _START + timedelta(seconds=self.time.seconds) + self.skew


class Simulation:
    """One history.

    Attributes:
        dice: What everything is drawn from.
        time: The time.
        auditor: What may not be.
        told: What happened, line by line.
    """

    def __init__(self, seed: int, make_store: MakeStore, *, is_steady: bool) -> None:
        """Draw the tasks; nothing happens yet. See :func:`simulate`."""
        self.dice = random.Random(seed)  # noqa: S311 - keeps no secret
        self.time = VirtualTime()
        self.told: list[str] = []
        self._make_store = make_store
        self._numbers = count(1)
        self._events: list[tuple[float, int, Process, Callable[[], None]]] = []
        self._commits = Commits()
        self.operator = self._start()
        self.auditor = Auditor(self.operator.teller, self.time, is_steady=is_steady)
        self.processes = [self._start() for _ in range(PROCESSES)]
        self.plans = draw_plans(self.dice, TASKS)
        self._runs = dict.fromkeys((plan.task_id for plan in self.plans), 0)

    def run(self) -> None:
        """Let it all happen.

        Raises:
            AssertionError: If a promise is broken.
        """
        try:
            self.after(0.0, self.operator, self._operate)
            while self._events and self.time.seconds < FAULTY_S + CALM_S:
                self._next()
            self._end()
        except BaseException as error:
            for line in self.told[-60:]:
                error.add_note(line)
            raise
        finally:
            for process in (self.operator, *self.processes):
                process.teller.close()

    def tell(self, line: str) -> None:
        """Note what happened."""
        self.told.append(f"{self.time.seconds:10.3f} {line}")

    def number(self) -> int:
        """One that was not given before."""
        return next(self._numbers)

    def after(self, seconds: float, process: Process, act: Callable[[], None]) -> None:
        """Let something happen later, if the process is alive and awake then."""
        heappush(self._events, (self.time.seconds + seconds, self.number(), process, act))

    @property
    def is_faulty(self) -> bool:
        """Whether faults are still injected."""
        return self.time.seconds < FAULTY_S

    def _next(self) -> None:
        at, number, process, act = heappop(self._events)
        if process.is_dead:
            return
        if process.asleep_until > at:
            heappush(self._events, (process.asleep_until, number, process, act))
            return
        self.time.seconds = max(at, self.time.seconds)
        act()

    def _start(self) -> Process:
        store = UnreliableStore(self._make_store(self.time), self._commits)
        return Process(f"process-{self.number()}", self.time, store)

    def _operate(self) -> None:
        """Something befalls a process; and whoever has no owner that works is given one."""
        if self.is_faulty:
            number = self.dice.randrange(PROCESSES)
            process = self.processes[number]
            match self.dice.randrange(8):
                case 0 | 1:
                    self.tell(f"{process.name} dies")
                    process.is_dead = True
                    process.teller.close()
                    self.processes[number] = self._start()
                case 2:
                    self.tell(f"{process.name} sleeps")
                    process.asleep_until = self.time.seconds + self.dice.uniform(30, 600)
                case 3:
                    process.skew = timedelta(hours=self.dice.choice([-1, 0, 1]))
                    self.tell(f"the clock of {process.name} is wrong by {process.skew}")
                case _:
                    pass
        for plan in self.plans:
            if self._needs_owner(plan):
                self._give(plan)
        if self.is_faulty or any(map(self._is_unfinished, self.plans)):
            self.after(self.dice.uniform(1, 100), self.operator, self._operate)

    def _give(self, plan: Plan) -> None:
        awake = [one for one in self.processes if one.asleep_until <= self.time.seconds]
        if not awake:
            return
        process = self.dice.choice(awake)
        self._runs[plan.task_id] += not self.is_faulty
        process.tasks.add(plan.task_id)
        self.tell(f"{process.name} runs {plan.task_id}")
        self.go_on(process, self._whole(process, plan))

    def _whole(self, process: Process, plan: Plan) -> Script:
        yield from live(self, process, plan)
        process.tasks.discard(plan.task_id)

    def _is_unfinished(self, plan: Plan) -> bool:
        return (
            self.auditor.status(plan.task_id) != "completed"
            and self._runs[plan.task_id] < MAX_RESUMES
        )

    def _needs_owner(self, plan: Plan) -> bool:
        owned = any(
            plan.task_id in one.tasks
            for one in self.processes
            if one.asleep_until <= self.time.seconds
        )
        return not owned and self._is_unfinished(plan)

    def go_on(self, process: Process, script: Script, error: Exception | None = None) -> None:
        """Run a script to the next thing it waits for."""
        try:
            wish = next(script) if error is None else script.throw(error)
        except StopIteration:
            return
        if isinstance(wish, float):
            self.after(wish, process, lambda: self.go_on(process, script))
            return
        operation, patience_s = wish
        waiter = Waiter(operation, script)
        process.queued.append(waiter)
        if patience_s is not None:
            self.after(patience_s, process, lambda: self._give_up(process, waiter))
        if not process.is_busy:
            process.is_busy = True
            self.after(self.dice.uniform(0, 0.05), process, lambda: self._commit(process))

    def _give_up(self, process: Process, waiter: Waiter) -> None:
        script, waiter.script = waiter.script, None
        if script is not None:
            self.go_on(process, script, TimeoutError())

    def _commit(self, process: Process) -> None:
        """What was queued meanwhile, in one transaction; it may fail, and its process may die."""
        process.is_busy = False
        batch, process.queued = process.queued, []
        process.store.fault = self._fault()
        is_recorded = process.teller.carry_out([one.operation for one in batch])
        if process.store.met is not None:
            self.tell(f"{process.name}: {process.store.met}, recorded: {is_recorded}")
        process.unanswered += batch
        self._answer(process)

    def _fault(self) -> str | None:
        is_due = self.is_faulty and self.dice.random() < 0.08  # noqa: PLR2004 - one in twelve
        return self.dice.choice(FAULTS) if is_due else None

    def _look(self, process: Process) -> None:
        process.store.fault = None
        process.teller.look()
        self._answer(process)

    def _answer(self, process: Process) -> None:
        """Audit, and wake the scripts that have their answer."""
        self.auditor.audit()
        answered = [one for one in process.unanswered if one.is_answered]
        process.unanswered = [one for one in process.unanswered if not one.is_answered]
        for one in answered:
            script, one.script = one.script, None
            if script is not None:
                self.go_on(process, script, one.operation.error)
        if process.teller.waiting:
            self.after(self.dice.uniform(0.5, 2), process, lambda: self._look(process))

    def _end(self) -> None:
        """All is quiet: what the dead held expires, and nothing is left open."""
        for process in self.processes:
            process.teller.carry_out([])
        self.time.seconds += 3600
        for process in (*self.processes, self.operator):
            process.skew = timedelta(0)
            process.teller.disown()
            assert process.teller.carry_out([process.teller.expire_overdue()])
        self.auditor.see_the_end(self.plans)


def simulate(seed: int, make_store: MakeStore, *, is_steady: bool = False) -> Simulation:
    """Make the history of one seed.

    Args:
        seed: Says what will happen.
        make_store: Makes another handle to one store, which is empty, and not opened yet; it may
            look at the time.
        is_steady: Whether it tells by the time, and not by the clocks of the processes, when a
            hold is overdue.

    Returns:
        It, over: ``told`` says what happened.

    Raises:
        AssertionError: If a promise is broken; the notes are the seed and what happened last.
    """
    simulation = Simulation(seed, make_store, is_steady=is_steady)
    try:
        simulation.run()
    except BaseException as error:
        error.add_note(f"repeat this with the seed {seed}")
        raise
    return simulation
