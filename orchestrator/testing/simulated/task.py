"""A task of a simulation: it asks a provider step by step, and runs tasks inside of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from orchestrator.budgets.demands import demands
from orchestrator.budgets.rules import BudgetRule
from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.halt import Halt, HaltReason
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope, ScopeKind
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.bookkeeping import correcting
from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.records import (
    AttemptEnd,
    AttemptIntent,
    Demand,
    TaskClosing,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort, TaskSignalled
from orchestrator.testing.simulated.auditor import Auditor
from orchestrator.testing.simulated.plans import Plan, Step
from orchestrator.testing.simulated.process import Process, Script, Wish
from orchestrator.testing.simulated.world import World

SHARED = (
    BudgetRule(scope="org", limit=Money(2_500)),
    BudgetRule(scope="team", limit=Money(900), window="hour", timezone="Europe/Berlin"),
)
TIMEOUT_S = 900.0
ATTEMPT_TIMEOUT_S = 120.0
GRACE_S = 10.0
PAUSE_S = 1.0
BUDGET: HaltReason = "budget"
PAUSED: HaltReason = "paused"
TIMEOUT: HaltReason = "timeout"


class _Halted(Exception):  # noqa: N818 - control flow
    """The task stops here, and may be resumed."""

    def __init__(self, reason: HaltReason, scope: ScopeKind = "task") -> None:
        super().__init__(reason)
        self.halt = Halt(reason, scope)


def live(
    world: World,
    auditor: Auditor,
    process: Process,
    plan: Plan,
    around: Sequence[Demand] = (),
) -> Script:
    """One run of a task, from where the ledger says that it is; it ends when its process does.

    Args:
        world: Where.
        auditor: Who is told what the task does.
        process: Who runs it.
        plan: What it does.
        around: What the tasks around it may spend.
    """
    run = _Run(world, auditor, process, plan, around)
    try:
        if not (yield from run.begin()):
            return
        yield from run.go_through()
    except (Fenced, AlreadyEnded):
        world.tell(f"{process.name} is fenced from {plan.task_id}")
        if around:
            raise


class _Run:
    """What a run of a task knows."""

    def __init__(
        self,
        world: World,
        auditor: Auditor,
        process: Process,
        plan: Plan,
        around: Sequence[Demand],
    ) -> None:
        self._world = world
        self._auditor = auditor
        self._process = process
        self._teller = process.teller
        self._dice = world.dice
        self._plan = plan
        self._around = around
        self._scope = Scope(
            "acme", "research", "writer", plan.task_id, "t", ancestors=plan.ancestors
        )
        self._deadline = world.time.seconds + TIMEOUT_S
        self._epoch = 0
        self._rules: tuple[BudgetRule, ...] = ()
        self._paid: set[str] = set()

    def begin(self) -> Generator[Wish, None, bool]:
        """Open the task, or take it over with what it was answered; whether there is more to do."""
        record = self._read()
        if record is None:
            opening = TaskOpening(
                scope=self._scope,
                owner=self._process.name,
                graph="g",
                policy="p",
                input_type="json",
                input_body=b"{}",
                at=self._process.now(),
            )
            try:
                yield self._teller.open_task(opening), None
            except LedgerUnavailable:  # as if it died: the next run finds out what became of it
                return False
        else:
            halt = record.halt
            is_short = halt is not None and halt.reason == "budget" and halt.scope == "task"
            more = Money(self._plan.budget if is_short else 0)
            yield from self._insist(
                lambda: self._teller.take_over(self._plan.task_id, add_budget=more, extend={})
            )
        record = self._read()
        if record is None or record.status == "completed":
            return False
        self._epoch = record.epoch
        limit = Money(self._plan.budget) + record.added_budget
        self._rules = (*SHARED, BudgetRule(scope="task", limit=limit, window="task"))
        history = self._teller.read(lambda unit: unit.flushed().history(self._plan.task_id))
        self._paid = {
            one.intent.key
            for one in history.attempts
            if one.end is not None and one.end.reply is not None
        }
        return True

    def go_through(self) -> Script:
        """Do what is left, and say how it returned."""
        halt: Halt | None = None
        try:
            for step in self._plan.steps:
                yield self._dice.uniform(0, 60)
                if isinstance(step, Plan):
                    yield from self._inside(step)
                while isinstance(step, Step) and step.key not in self._paid:
                    yield from self._ask(step)
        except _Halted as halted:
            halt = halted.halt
        closing = TaskClosing(
            task_id=self._plan.task_id,
            epoch=self._epoch,
            status="completed" if halt is None else "halted",
            running_s=1.0,
            at=self._process.now(),
            halt=halt,
        )
        tries = 0
        while True:
            tries += 1
            try:
                yield self._teller.close_task(closing), None
            except LedgerUnavailable:
                yield PAUSE_S
            except Fenced:
                if tries == 1:
                    raise
                break  # the store had written it, unheard
            else:
                break
        self._world.tell(f"{self._plan.task_id} is {closing.status} {halt}")

    def _inside(self, plan: Plan) -> Script:
        """Run a task inside this one, on its money too."""
        (own,) = (one for one in self._demands() if one.account.identity == self._plan.task_id)
        yield from live(self._world, self._auditor, self._process, plan, [*self._around, own])
        if self._auditor.status(plan.task_id) != "completed":
            raise _Halted(PAUSED)

    def _demands(self) -> Sequence[Demand]:
        now = self._process.now()
        return demands(self._rules, self._scope, now, finish=False, inherited=self._around)

    @property
    def _left_s(self) -> float:
        return self._deadline - self._world.time.seconds

    def _ask(self, step: Step) -> Script:
        """Hold the money, ask the provider, book what it cost."""
        intent = yield from self._reserve(step)
        self._auditor.asked(intent)
        latency_s = self._dice.choice([1.0, 5.0, 30.0, 200.0])
        on_wire_s = min(latency_s, ATTEMPT_TIMEOUT_S, self._left_s)
        end = self._outcome(intent, is_cut=on_wire_s < latency_s)
        self._auditor.billed(end)
        yield on_wire_s
        yield from self._book(replace(end, at=self._process.now()))
        if end.reply is not None:
            self._paid.add(step.key)

    def _reserve(self, step: Step) -> Generator[Wish, None, AttemptIntent]:
        while self._left_s > 0:
            now = self._process.now()
            lasts_s = min(ATTEMPT_TIMEOUT_S, self._left_s) + GRACE_S
            # What became of an earlier try may not be known: each is an attempt of its own.
            intent = AttemptIntent(
                attempt_id=f"{self._plan.task_id}-{self._world.number()}",
                task_id=self._plan.task_id,
                epoch=self._epoch,
                key=step.key,
                request_hash="h",
                step=step.key,
                kind="ask",
                model="m",
                provider_model="m",
                reserve=Money(step.bound),
                expires_at=now + timedelta(seconds=lasts_s),
                at=now,
            )
            asked = self._demands()
            self._auditor.demanded(intent, asked, self._process)
            try:
                yield self._teller.reserve(intent, asked), self._left_s
            except LedgerUnavailable:
                yield PAUSE_S
            except TimeoutError:
                yield from self._insist(partial(self._teller.withdraw, intent.attempt_id))
            except BudgetShort as short:
                is_own = short.demand.account.identity == self._plan.task_id
                raise _Halted(BUDGET, "task" if is_own else "team") from short
            except TaskSignalled as signalled:
                raise _Halted(signalled.reason) from signalled
            else:
                return intent
        raise _Halted(TIMEOUT)

    def _outcome(self, intent: AttemptIntent, *, is_cut: bool) -> AttemptEnd:
        """How the request ends: answered, for more than its bound, rejected, or cut off."""
        bound = intent.reserve.nano
        end = AttemptEnd(
            attempt_id=intent.attempt_id,
            end="settled",
            cost=intent.reserve,
            certainty="estimated",
            seconds=1.0,
            at=intent.at,
        )
        drawn = self._dice.random()
        if is_cut or drawn < 0.05:  # noqa: PLR2004 - one in twenty
            return end
        if drawn < 0.15:  # noqa: PLR2004 - one in ten
            return replace(end, end="released", cost=Money.ZERO, certainty="known")
        over = self._dice.randrange(50) if drawn < 0.2 else 0  # noqa: PLR2004 - one in twenty
        cost = bound if over else self._dice.randint(0, bound)
        return replace(
            end, cost=Money(cost), overrun=Money(over), certainty="known", reply=b"reply"
        )

    def _book(self, end: AttemptEnd) -> Script:
        """Write the end, whenever that can be; the store may have done so unheard."""
        tries = 0
        while True:
            tries += 1
            try:
                yield self._teller.end(end), None
            except LedgerUnavailable:
                yield PAUSE_S
            except AlreadyEnded:
                if tries == 1:
                    raise
                yield from self._resolve(end)
                return
            else:
                self._auditor.recorded(end.attempt_id)
                return

    def _resolve(self, end: AttemptEnd) -> Script:
        """If it is in doubt, say what it cost: who knows is here."""
        doubts = self._teller.read(lambda unit: unit.flushed().in_doubt(self._plan.task_id))
        if any(one.intent.attempt_id == end.attempt_id for one in doubts):
            correction = Correction(
                attempt_id=end.attempt_id,
                cost=end.cost + end.overrun,
                certainty="known",
                source="its owner",
                at=self._process.now(),
            )
            yield from self._insist(
                lambda: Operation(
                    None,
                    lambda unit: correcting.correct(unit, correction),
                    holds=(end.attempt_id,),
                )
            )

    def _insist(self, make: Callable[[], Operation]) -> Script:
        """Do it, again while the store is away."""
        while True:
            try:
                yield make(), None
            except LedgerUnavailable:
                yield PAUSE_S
            else:
                return

    def _read(self) -> TaskRecord | None:
        return self._teller.read(lambda unit: unit.flushed().task(self._plan.task_id))
