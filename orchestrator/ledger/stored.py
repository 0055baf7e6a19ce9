"""The ledger itself: the asynchronous face of a store, its rules and its writer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar, cast

from orchestrator.core.clock import Clock
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.core.priority import Priority
from orchestrator.core.scope import Scope
from orchestrator.ledger.afterwards import Correction, Crossing
from orchestrator.ledger.bookkeeping import book, correcting, crossings, forgetting, lifecycle
from orchestrator.ledger.bookkeeping.operation import Answer, Operation, Urgency
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.bookkeeping.verification import Verification, verify
from orchestrator.ledger.bookkeeping.waiting import Ask
from orchestrator.ledger.bookkeeping.writer import Writer
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Balance,
    Decision,
    Demand,
    Forgotten,
    TaskClosing,
    TaskHistory,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.stores.rows import to_us
from orchestrator.ledger.stores.store import Store
from orchestrator.ledger.validation import (
    check_closing,
    check_correction,
    check_decision,
    check_demands,
    check_end,
    check_free,
    check_growth,
    check_intent,
    check_lessons,
    check_opening,
    check_remembered,
    check_text,
)

T = TypeVar("T")


class StoredLedger:
    """A :class:`~orchestrator.ledger.protocol.Ledger` over any store.

    An operation that is awaited and succeeds is durable, and so is everything noted before it.
    """

    def __init__(self, store: Store, clock: Clock, *, keep_bodies: timedelta | None = None) -> None:
        """Nothing is opened yet.

        Args:
            store: Where the facts are kept; used by this ledger alone.
            clock: Tells when holds are overdue and bodies expire.
            keep_bodies: How long prompts and replies outlive the completion of their task;
                ``None``: they are removed with it.
        """
        self._store = store
        self._clock = clock
        self._keep = keep_bodies
        self._writer = Writer(store, clock.now)

    async def open(self) -> None:
        """Open the store, bring its schema up to date, remove bodies whose time has come.

        Raises:
            LedgerUnavailable: If the store cannot be opened.
        """
        await self._writer.start().future
        await self._ask(lambda unit: lifecycle.purge(unit, self._clock.now()))

    async def aclose(self) -> None:
        """Write what is queued and close. A reservation that still waits is refused."""
        await self._writer.stop().future

    async def open_task(self, opening: TaskOpening) -> int:
        """Record a new task as running and return its first epoch.

        Raises:
            TaskExists: If the id is taken.
            ValueError: If a value cannot be stored.
        """
        checked = check_opening(opening)
        ids = (checked.scope.task_id, *checked.scope.ancestors)
        return await self._ask(lambda unit: lifecycle.open_task(unit, checked), tasks=ids)

    async def take_over(
        self,
        task_id: str,
        *,
        owner: str,
        add_budget: Money = Money.ZERO,
        extend: Mapping[str, float] | None = None,
    ) -> TaskRecord:
        """Make ``owner`` the owner under the next epoch; expire what older epochs left open.

        A completed task is returned as it is, unchanged.

        Raises:
            TaskNotFound: If there is no such task.
            ValueError: If the budget or a limit would shrink, or a value cannot be stored.
        """
        growth = dict(extend or {})
        check_growth(add_budget, growth)
        check_text(task_id=task_id, owner=owner)
        return await self._ask(
            lambda unit: lifecycle.take_over(
                unit,
                task_id,
                owner=owner,
                now=self._clock.now(),
                add_budget=add_budget,
                extend=growth,
            )
        )

    async def task(self, task_id: str) -> TaskRecord | None:
        """The task, or ``None``."""
        check_text(task_id=task_id)
        return await self._ask(lambda unit: unit.flushed().task(task_id), urgency="read")

    async def family(self, task_id: str) -> Sequence[str]:
        """The task's id and the ids of all tasks that ran inside it, outermost first.

        Empty if there is no such task.
        """

        def run(unit: UnitOfWork) -> list[str]:
            if unit.task(task_id) is None:
                return []
            return [task_id, *unit.flushed().descendants(task_id)]

        return await self._ask(run, urgency="read")

    async def history(self, task_id: str) -> TaskHistory:
        """All that is known of a task's attempts."""
        return await self._ask(lambda unit: unit.flushed().history(task_id), urgency="read")

    async def reserve(
        self, intent: AttemptIntent, demands: Sequence[Demand], *, priority: Priority = "normal"
    ) -> None:
        """Hold ``intent.reserve`` on every account or on none, waiting where promise 2 says so.

        Who matters more is served first, though it came later.

        Cancelling the caller withdraws it: a hold that was just granted is released before the
        cancellation goes on.

        Raises:
            BudgetShort: If a budget of the path cannot serve it, now or by waiting.
            TaskSignalled: If the task was asked to stop.
            Fenced: If the epoch is no longer the task's, or its run has returned.
            TaskNotFound: If there is no such task.
            LedgerUnavailable: If it cannot be recorded.
            ValueError: If the attempt id was used before, or a value cannot be stored.
        """
        check_intent(intent)
        check_demands(demands)
        answer = Answer()
        self._writer.submit(Ask(answer, intent, demands, priority=priority))
        try:
            await answer.future
        except asyncio.CancelledError:
            await self._withdraw(intent.attempt_id)
            raise
        except GeneratorExit:
            # The coroutine is thrown away: nothing can be awaited any more.
            with contextlib.suppress(LedgerUnavailable):
                self._writer.submit(self._writer.transactor.withdrawal(None, intent.attempt_id))
            raise

    async def end(self, end: AttemptEnd) -> None:
        """Resolve an intent: book the cost, free the hold, journal the reply, in one transaction.

        It goes on if its caller is cancelled.

        Raises:
            AlreadyEnded: If it was resolved before (the owner was fenced, or the hold expired).
            LedgerUnavailable: If it cannot be recorded.
            ValueError: If there is no such attempt, it costs more than its reserve, or it says
                ``expired``, which only the ledger does.
        """
        checked = check_end(end)

        def run(unit: UnitOfWork) -> None:
            self._writer.transactor.living.discard(checked.attempt_id)
            book.end(unit, checked, self._keep)

        await self._ask(run, holds=(checked.attempt_id,))

    def mark(self, task_id: str, kind: str, key: str) -> None:
        """Note that ``key`` counts towards ``kind``, once however often noted. Does not wait."""
        check_text(task_id=task_id, kind=kind, key=key)
        self._note(lambda unit: unit.add_mark(task_id, kind, key))

    def decide(self, decision: Decision) -> None:
        """Note a decision. Does not wait; written in order with everything else."""
        check_decision(decision)
        self._note(lambda unit: unit.add_decision(decision))

    def hit(self, hit: Remembered) -> None:
        """Note that a memo answered, as :meth:`free` does."""
        checked = check_remembered(hit)
        self._note(lambda unit: book.remember(unit, checked, self._keep), hit.attempt_id)

    def free(self, intent: AttemptIntent, end: AttemptEnd, decision: Decision | None) -> None:
        """Note what was free, with its decision. Does not wait; all of it or nothing.

        Raises:
            LedgerUnavailable: If the ledger is not open.
            ValueError: If a value cannot be stored.
        """
        end = check_free(intent, end, decision)
        self._note(lambda unit: book.free(unit, intent, end, decision, self._keep), end.attempt_id)

    def note(self, lessons: Sequence[Lesson]) -> None:
        """Note what is to be learned from. Does not wait; all of it or nothing.

        Raises:
            LedgerUnavailable: If the ledger is not open.
            ValueError: If a value cannot be stored.
        """
        check_lessons(lessons)
        self._note(lambda unit: unit.add_lessons(lessons))

    async def teach(self, lessons: Sequence[Lesson]) -> None:
        """The same as :meth:`note`, durable when it returns.

        Raises:
            LedgerUnavailable: If it cannot be recorded.
            ValueError: If a value cannot be stored.
        """
        check_lessons(lessons)
        await self._ask(lambda unit: unit.add_lessons(lessons))

    async def lessons(self, tenant: str, *, after: int = 0, limit: int = 1000) -> Sequence[Lesson]:
        """What a tenant may learn from, in the order of the log, from number ``after`` on."""
        return await self._ask(
            lambda unit: unit.flushed().lessons(tenant, after, limit), urgency="read"
        )

    async def close_task(self, closing: TaskClosing) -> None:
        """Record how a run of a task returned; its ``running_s`` is added to that of earlier runs.

        Raises:
            Fenced: If the epoch is no longer the task's, or its run has returned before.
            TaskNotFound: If there is no such task.
            ValueError: If a value cannot be stored.
        """
        checked = check_closing(closing)
        await self._ask(
            lambda unit: lifecycle.close_task(unit, checked, self._keep), tasks=(checked.task_id,)
        )

    async def signal(self, task_id: str, reason: HaltReason) -> None:
        """Ask a running task, and all that runs inside it, to stop: the next reserve is refused.

        One that does not run is left as it is.

        Raises:
            TaskNotFound: If there is no such task.
            ValueError: If the task's id is no text.
        """
        check_text(task_id=task_id)
        await self._ask(lambda unit: lifecycle.signal(unit, task_id, reason), tasks=(task_id,))

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        """The balance of each account, in order.

        Of an account that was never booked on: what its holder spent in its window so far.
        """
        return await self._ask(lambda unit: unit.balances(accounts), urgency="read")

    async def levels(
        self, accounts: Sequence[Account]
    ) -> tuple[Sequence[Balance], frozenset[Crossing]]:
        """The balance of each account, in order, and which of their thresholds were crossed."""

        def run(unit: UnitOfWork) -> tuple[Sequence[Balance], frozenset[Crossing]]:
            keys = [account.key for account in accounts]
            return unit.balances(accounts), frozenset(unit.flushed().crossings(keys))

        return await self._ask(run, urgency="read")

    async def cross(self, crossing: Crossing) -> bool:
        """Note that a threshold was crossed; whether nobody noted it before, in any process."""
        at_us = to_us(self._clock.now())
        return await self._ask(lambda unit: crossings.cross(unit, crossing, at_us))

    async def rests(self, scope: Scope, step: str, limit: int) -> Sequence[Money]:
        """What the last completed tasks like this one cost from their first ask of a step on.

        The ``limit`` newest are looked at; those that never asked ``step`` are left out.
        """
        found = await self._ask(
            lambda unit: unit.flushed().rests(scope, step, limit), urgency="read"
        )
        return [Money(nano) for nano in found]

    async def courses(self, scope: Scope, limit: int) -> Sequence[Spent]:
        """What the ``limit`` last completed tasks like this one did, attempt by attempt."""
        return await self._ask(lambda unit: unit.flushed().courses(scope, limit), urgency="read")

    async def expire_overdue(self) -> int:
        """Expire the holds past their ``expires_at``, but those of this ledger, whose owner lives.

        Returns:
            How many expired.
        """
        return await self._ask(self._writer.transactor.expire_overdue)

    async def epoch(self, task_id: str) -> int:
        """The task's present epoch; 0 if there is no such task."""

        def run(unit: UnitOfWork) -> int:
            state = unit.task(task_id)
            return 0 if state is None else state.epoch

        return await self._ask(run, urgency="read")

    async def forget(self, user: str, *, tenant: str | None = None) -> Forgotten:
        """Erase the inputs, replies and outputs of a user's tasks; what they cost stays.

        Args:
            user: The user.
            tenant: Only in this tenant; ``None``: in all.
        """
        check_text(user=user, tenant=tenant)
        return await self._ask(lambda unit: forgetting.forget(unit, user, tenant))

    async def in_doubt(self, task_id: str | None = None) -> Sequence[AttemptRecord]:
        """Attempts whose owner died: their reserve stays disputed. Of one task, or of all."""
        return await self._ask(lambda unit: unit.flushed().in_doubt(task_id), urgency="read")

    async def correct(self, correction: Correction) -> None:
        """Say what an attempt in doubt really cost; its reserve is free again but for that.

        The doubt stays as it was written. An attempt may be corrected again: the last word stands.

        Raises:
            NotInDoubt: If it is open, ended for sure, or unknown.
            ValueError: If a value cannot be stored.
        """
        check_correction(correction)
        attempt_id = correction.attempt_id
        await self._ask(lambda unit: correcting.correct(unit, correction), holds=(attempt_id,))

    async def verify(self) -> Verification:
        """Recompute every account from the attempts, and look for rows that belong to nothing.

        Reads everything: other operations wait meanwhile.
        """
        return await self._ask(lambda unit: verify(unit.flushed()), urgency="read")

    async def _ask(
        self,
        run: Callable[[UnitOfWork], T],
        *,
        urgency: Urgency = "now",
        tasks: tuple[str, ...] = (),
        holds: tuple[str, ...] = (),
    ) -> T:
        answer = Answer()
        self._writer.submit(Operation(answer, run, urgency=urgency, tasks=tasks, holds=holds))
        return cast("T", await answer.future)

    def _note(self, run: Callable[[UnitOfWork], None], adds: str | None = None) -> None:
        self._writer.submit(Operation(None, run, urgency="note", adds=adds))

    async def _withdraw(self, attempt_id: str) -> None:
        """See a withdrawal through, however often the caller is cancelled meanwhile."""
        answer = Answer()
        try:
            self._writer.submit(self._writer.transactor.withdrawal(answer, attempt_id))
        except LedgerUnavailable:
            return  # closed: nobody waits there any more, and a hold expires with its owner
        while not answer.future.done():
            with contextlib.suppress(asyncio.CancelledError, LedgerUnavailable):
                await asyncio.shield(answer.future)
        # If it could not be written, the hold is nobody's any more and expires when overdue.
        answer.future.exception()
