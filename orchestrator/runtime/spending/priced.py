"""What has a price of its own and asks no model. Runs on the engine's loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptIntent, AttemptKind
from orchestrator.runtime.run.slot import Slot
from orchestrator.runtime.spending.booking import EXPIRY_GRACE, reserve
from orchestrator.runtime.spending.held import give_way

if TYPE_CHECKING:
    from orchestrator.runtime.run.task_run import TaskRun


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
    return await reserve(run, intent, run.demands(intent.at, finish=False), slot)


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
