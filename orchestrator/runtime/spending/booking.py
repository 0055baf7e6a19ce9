"""Holding money for whatever costs some, and booking how it ended. Runs on the engine's loop."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.budgets.halts import budget_halt
from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.events import AttemptEnded, AttemptStarted
from orchestrator.core.halt import Halt
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import HALTED_UNSENT, AttemptEnd, AttemptIntent, Demand
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort, TaskSignalled
from orchestrator.runtime.run.patience import end_patiently, patiently
from orchestrator.runtime.spending.granting import asked
from orchestrator.runtime.spending.thresholds import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runtime.run.slot import Slot
    from orchestrator.runtime.run.task_run import TaskRun

EXPIRY_GRACE = timedelta(seconds=10)


class AttemptRefused(Exception):  # noqa: N818 - control flow between attempt and call, never shown
    """Nothing may start, for the reason in ``halt``.

    Attributes:
        halt: The reason.
        need: What a budget could not serve; ``None``: no budget refused it.
    """

    def __init__(self, halt: Halt, *, need: Money | None = None) -> None:
        """Carry the reason."""
        super().__init__(halt.detail or halt.reason)
        self.halt = halt
        self.need = need


async def reserve(
    run: TaskRun, intent: AttemptIntent, demands: Sequence[Demand], slot: Slot
) -> AttemptIntent:
    """Hold the worst case, waiting for money if others may still free it.

    Returns:
        The intent as it was written, once it was announced.

    Raises:
        AttemptRefused: If it may not start.
        LedgerUnavailable, Fenced: If it cannot be recorded.
    """
    if run.admits_nothing():
        raise AttemptRefused(run.halt_or_timeout(intent.step))

    async def write() -> AttemptIntent:
        # What became of an earlier try may not be known: each is an attempt of its own.
        fresh = replace(intent, attempt_id=new_attempt_id())
        await run.ledger.reserve(fresh, demands, priority=run.priority)
        return fresh

    try:
        async with slot.during("waiting", run.deadline.remaining_s):
            intent = await patiently(run, write)
    except TimeoutError:
        raise AttemptRefused(run.halt_or_timeout(intent.step)) from None
    except BudgetShort as short:
        halt = budget_halt(short, need=intent.reserve, step=intent.step)
        halt = asked(run, halt, intent.reserve)
        raise AttemptRefused(halt, need=intent.reserve) from short
    except TaskSignalled as signalled:
        raise AttemptRefused(run.signalled(signalled.reason)) from None
    except (Fenced, LedgerUnavailable) as error:
        run.break_off(error)
        raise
    if run.admits_nothing():
        # The halt came while the grant was on its way: nothing has left, so nothing is owed.
        await end_patiently(run, _unsent(intent, run))
        raise AttemptRefused(run.halt_or_timeout(intent.step))
    run.booked(intent.reserve)
    announce(run, intent)
    return intent


async def book(run: TaskRun, intent: AttemptIntent, end: AttemptEnd) -> None:
    """Write the end of what was held.

    Raises:
        LedgerUnavailable: If it cannot be recorded. The money is spent and cannot be booked: the
            hold stays, and nothing more may happen.
        Fenced: If the task has another owner.
    """
    try:
        await end_patiently(run, end)
    except AlreadyEnded:
        error = Fenced(f"{run.scope.task_id} has another owner now.")
        run.break_off(error)
        raise error from None
    except LedgerUnavailable as error:
        run.break_off(error)
        raise
    run.booked(end.cost + end.overrun - intent.reserve)
    report(run, intent, end)
    with suppress(LedgerUnavailable):  # what is booked is: the next to look tells of it
        await look(run)


def announce(run: TaskRun, intent: AttemptIntent) -> None:
    """Tell the listeners that it begins."""
    run.emit(
        AttemptStarted(
            at=intent.at,
            scope=run.scope,
            attempt_id=intent.attempt_id,
            step=intent.step,
            model=intent.model,
            kind=intent.kind,
            reserved=intent.reserve,
        )
    )


def report(run: TaskRun, intent: AttemptIntent, end: AttemptEnd) -> None:
    """Tell the listeners how it ended."""
    run.emit(
        AttemptEnded(
            at=end.at,
            scope=run.scope,
            attempt_id=intent.attempt_id,
            step=intent.step,
            model=intent.model,
            kind=intent.kind,
            cost=end.cost + end.overrun,
            certainty=end.certainty,
            seconds=end.seconds,
            usage=end.usage,
            error=end.error,
        )
    )


def _unsent(intent: AttemptIntent, run: TaskRun) -> AttemptEnd:
    return AttemptEnd(
        attempt_id=intent.attempt_id,
        end="released",
        cost=Money.ZERO,
        certainty="known",
        seconds=0.0,
        at=run.clock.now(),
        error=HALTED_UNSENT,
    )
