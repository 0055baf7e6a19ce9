"""A simulation: processes that die, sleep and have wrong clocks run tasks on one ledger.

Time is virtual, nothing runs beside anything else, and every choice is drawn from a seed: it makes
one history, on any store, and makes it again. After each transaction an auditor sees that the
promises hold; in the end, when the faults have stopped, nothing may be left open.

::

    simulate(seed=7, make_store=lambda time: MyStore(path))

Rules, transactions, budgets and windows are the product's own; tasks are those of
:mod:`orchestrator.testing.simulated.task`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from heapq import heappop, heappush
from typing import TypeAlias

from orchestrator.ledger.stores.store import Store
from orchestrator.testing.simulated.auditor import Auditor
from orchestrator.testing.simulated.plans import Plan, draw_plans
from orchestrator.testing.simulated.process import Process, Script, VirtualTime, Waiter
from orchestrator.testing.simulated.task import live
from orchestrator.testing.simulated.world import World
from orchestrator.testing.unreliable_store import FAULTS, Commits, UnreliableStore

PROCESSES = 4
TASKS = 7
FAULTY_S = 2 * 3600.0
"""How long faults are injected; afterwards what is left comes to its end in peace."""
CALM_S = 48 * 3600.0
MAX_RESUMES = 12
"""In peace; a task that no money is left for stays halted then."""
MakeStore: TypeAlias = Callable[[VirtualTime], Store]


class Simulation:
    """One history.

    Attributes:
        world: The time, the dice, and what happened.
        auditor: What may not be.
    """

    def __init__(self, seed: int, make_store: MakeStore, *, is_steady: bool) -> None:
        """Draw the tasks; nothing happens yet. See :func:`simulate`."""
        self.world = World(seed)
        self._make_store = make_store
        self._events: list[tuple[float, int, Process, Callable[[], None]]] = []
        self._commits = Commits()
        self.operator = self._start()
        self.auditor = Auditor(self.operator.teller, self.world.time, is_steady=is_steady)
        self.processes = [self._start() for _ in range(PROCESSES)]
        self.plans = draw_plans(self.world.dice, TASKS)
        self._runs = dict.fromkeys((plan.task_id for plan in self.plans), 0)

    def run(self) -> None:
        """Let it all happen.

        Raises:
            AssertionError: If a promise is broken.
        """
        try:
            self.after(0.0, self.operator, self._operate)
            while self._events and self.world.time.seconds < FAULTY_S + CALM_S:
                self._next()
            self._end()
        except BaseException as error:
            for line in self.world.told[-60:]:
                error.add_note(line)
            raise
        finally:
            for process in (self.operator, *self.processes):
                process.teller.close()

    def after(self, seconds: float, process: Process, act: Callable[[], None]) -> None:
        """Let something happen later, if the process is alive and awake then."""
        at = self.world.time.seconds + seconds
        heappush(self._events, (at, self.world.number(), process, act))

    @property
    def is_faulty(self) -> bool:
        """Whether faults are still injected."""
        return self.world.time.seconds < FAULTY_S

    def _next(self) -> None:
        at, number, process, act = heappop(self._events)
        if process.is_dead:
            return
        if process.asleep_until > at:
            heappush(self._events, (process.asleep_until, number, process, act))
            return
        self.world.time.seconds = max(at, self.world.time.seconds)
        act()

    def _start(self) -> Process:
        store = UnreliableStore(self._make_store(self.world.time), self._commits)
        return Process(f"process-{self.world.number()}", self.world.time, store)

    def _operate(self) -> None:
        """Something befalls a process; and whoever has no owner that works is given one."""
        if self.is_faulty:
            number = self.world.dice.randrange(PROCESSES)
            process = self.processes[number]
            match self.world.dice.randrange(8):
                case 0 | 1:
                    self.world.tell(f"{process.name} dies")
                    process.is_dead = True
                    process.teller.close()
                    self.processes[number] = self._start()
                case 2:
                    self.world.tell(f"{process.name} sleeps")
                    seconds = self.world.dice.uniform(30, 600)
                    process.asleep_until = self.world.time.seconds + seconds
                case 3:
                    process.skew = timedelta(hours=self.world.dice.choice([-1, 0, 1]))
                    self.world.tell(f"the clock of {process.name} is wrong by {process.skew}")
                case _:
                    pass
        for plan in self.plans:
            if self._needs_owner(plan):
                self._give(plan)
        if self.is_faulty or any(map(self._is_unfinished, self.plans)):
            self.after(self.world.dice.uniform(1, 100), self.operator, self._operate)

    def _give(self, plan: Plan) -> None:
        awake = [one for one in self.processes if one.asleep_until <= self.world.time.seconds]
        if not awake:
            return
        process = self.world.dice.choice(awake)
        self._runs[plan.task_id] += not self.is_faulty
        process.tasks.add(plan.task_id)
        self.world.tell(f"{process.name} runs {plan.task_id}")
        self.go_on(process, self._whole(process, plan))

    def _whole(self, process: Process, plan: Plan) -> Script:
        yield from live(self.world, self.auditor, process, plan)
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
            if one.asleep_until <= self.world.time.seconds
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
            self.after(self.world.dice.uniform(0, 0.05), process, lambda: self._commit(process))

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
            self.world.tell(f"{process.name}: {process.store.met}, recorded: {is_recorded}")
        process.unanswered += batch
        self._answer(process)

    def _fault(self) -> str | None:
        is_due = self.is_faulty and self.world.dice.random() < 0.08  # noqa: PLR2004 - one in twelve
        return self.world.dice.choice(FAULTS) if is_due else None

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
            self.after(self.world.dice.uniform(0.5, 2), process, lambda: self._look(process))

    def _end(self) -> None:
        """All is quiet: what the dead held expires, and nothing is left open."""
        for process in self.processes:
            process.teller.carry_out([])
        self.world.time.seconds += 3600
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
        It, over: ``world.told`` says what happened.

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
