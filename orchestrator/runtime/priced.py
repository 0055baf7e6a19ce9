"""What has a price of its own and asks no model: held, used, booked. Runs on the engine's loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.budgets.halts import budget_halt
from orchestrator.core.errors import Fenced, LedgerUnavailable
from orchestrator.core.events import AttemptEnded, AttemptStarted
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import (
    AlreadyEnded,
    AttemptEnd,
    AttemptIntent,
    AttemptKind,
    BudgetShort,
    TaskSignalled,
)
from orchestrator.runtime.attempt import EXPIRY_GRACE, AttemptRefused
from orchestrator.runtime.held import give_way
from orchestrator.runtime.slot import Slot

if TYPE_CHECKING:
    from orchestrator.runtime.task_run import TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of something with a price.

    Attributes:
        key: The journal key.
        digest: Digest of what it is used for.
        step: How it is attributed: ``tool:search``, ``resource:cpu_second``.
        kind: Tool or resource.
        name: What is used.
        price: What this use costs.
        source: Where that price comes from.
    """

    key: str
    digest: str
    step: str
    kind: AttemptKind
    name: str
    price: Money
    source: str | None = None


async def hold(run: TaskRun, use: Use, slot: Slot, seconds: float) -> AttemptIntent:
    """Reserve the price, waiting for money if others may still free it.

    Args:
        run: The task.
        use: What is to be used.
        slot: By which the wait can be stopped.
        seconds: How long the use may take; after that a dead owner's hold expires.

    Raises:
        AttemptRefused: If it may not start.
        LedgerUnavailable, Fenced: If it cannot be recorded.
    """
    intent = intend(run, use, seconds)
    if intent.reserve:
        await give_way()
    if run.admits_nothing():
        raise AttemptRefused(run.halt_or_timeout(use.step))
    try:
        async with slot.during("waiting", run.deadline.remaining_s):
            await run.ledger.reserve(intent, run.demands(intent.at, finish=False))
    except TimeoutError:
        raise AttemptRefused(run.halt_or_timeout(use.step)) from None
    except BudgetShort as short:
        raise AttemptRefused(budget_halt(short, need=intent.reserve, step=use.step)) from short
    except TaskSignalled as signalled:
        raise AttemptRefused(run.signalled(signalled.reason)) from None
    except (Fenced, LedgerUnavailable) as error:
        run.break_off(error)
        raise
    run.booked(intent.reserve)
    announce(run, intent)
    return intent


async def book(run: TaskRun, intent: AttemptIntent, end: AttemptEnd) -> None:
    """Write the end of a use that was held.

    Raises:
        LedgerUnavailable, Fenced: If it cannot be recorded.
    """
    try:
        await run.ledger.end(end)
    except AlreadyEnded:
        error = Fenced(f"{run.scope.task_id} has another owner now.")
        run.break_off(error)
        raise error from None
    except LedgerUnavailable as error:
        run.break_off(error)
        raise
    run.booked(end.cost + end.overrun - intent.reserve)
    report(run, intent, end)


def intend(run: TaskRun, use: Use, seconds: float) -> AttemptIntent:
    """The row that says what is to be used."""
    now = run.clock.now()
    return AttemptIntent(
        attempt_id=new_attempt_id(),
        task_id=run.scope.task_id,
        epoch=run.epoch,
        key=use.key,
        request_hash=use.digest,
        step=use.step,
        kind=use.kind,
        model=use.name,
        provider_model=use.name,
        reserve=use.price,
        expires_at=now + timedelta(seconds=run.deadline.within(seconds)) + EXPIRY_GRACE,
        at=now,
    )


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
            error=end.error,
        )
    )
