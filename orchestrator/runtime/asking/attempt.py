"""One attempt: reserve, ask, settle. It runs on the engine's loop and always comes to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from orchestrator.budgets.demands import giving_way
from orchestrator.budgets.settlement import Outcome, Reserve, settle
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.scope import UPKEEP
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, AttemptKind, AttemptRecord
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest
from orchestrator.routing.admission import LaneFull, Ticket
from orchestrator.runtime.asking.actions import Action
from orchestrator.runtime.run.masking import sentence
from orchestrator.runtime.run.slot import Slot
from orchestrator.runtime.shared.admitting import full_halt
from orchestrator.runtime.spending.booking import EXPIRY_GRACE, AttemptRefused, book, reserve
from orchestrator.runtime.spending.held import give_way
from orchestrator.runtime.storage.journal import JournaledReply, encode

if TYPE_CHECKING:
    from orchestrator.runtime.run.task_run import TaskRun


class AttemptTimedOut(ModelCallError):  # noqa: N818 - reads as the state it reports
    """No answer within the attempt's time. Never retried: how long to wait is the policy's word."""

    def __init__(self, seconds: float) -> None:
        """Say how long was waited."""
        super().__init__("broken", f"no answer within {seconds:g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOrder:
    """What one attempt is to do."""

    key: str
    request_digest: str
    step: str
    kind: AttemptKind
    action: Action
    request: ModelRequest
    finish: bool
    on_text: Callable[[str], None] | None = None
    slot: Slot = field(default_factory=Slot)


async def perform(run: TaskRun, order: AttemptOrder) -> JournaledReply:
    """Reserve the worst case, send one request, book how it ended, journal the reply.

    Raises:
        AttemptRefused: If it may not start, or the halted task cut it.
        ModelCallError: If there is no usable answer; what it cost is booked.
        LedgerUnavailable: If it cannot be recorded.
        Fenced: If the task has another owner.
    """
    if halt := run.gauge.before_attempt(order.step, order.request_digest, order.key):
        run.services.latch.withdrew(order.action.settings.endpoint)
        raise AttemptRefused(halt)
    outcome: Outcome | None = None
    try:
        ticket = await _admit(run, order)
    except BaseException:
        _not_sent(run, order)
        raise
    try:
        intent = await _reserved(run, order)
        outcome = await _sent(run, order, intent)
    finally:
        run.services.admitting.leave(ticket, order.action.settings.endpoint, outcome)
    reply = await _book(run, order, intent, outcome)
    match outcome:
        case ModelCallError():
            raise outcome
        case "timed_out":
            raise AttemptTimedOut(run.attempt_timeout_s(order.step))
        case "cancelled":
            raise AttemptRefused(run.halt_or_timeout(order.step))
    assert reply is not None
    return reply


def _not_sent(run: TaskRun, order: AttemptOrder) -> None:
    """Take back what was counted on: it goes out to nobody, whether anybody still waits or not."""
    run.gauge.attempt_not_sent()
    run.services.latch.withdrew(order.action.settings.endpoint)


async def _admit(run: TaskRun, order: AttemptOrder) -> Ticket | None:
    """Wait for a place in the step's lane and among what its provider lets through.

    Whoever has the place may wait for the money that is held around this ask, so that gives way
    before the place is waited for.
    """
    await give_way()
    if run.admits_nothing():
        raise AttemptRefused(run.halt_or_timeout(order.step))
    try:
        async with order.slot.during("waiting", run.deadline.remaining_s):
            return await run.services.admitting.enter(
                order.request,
                # Nobody waits for an audit or a memo's upkeep, and it keeps nobody waiting.
                lane=None if UPKEEP in run.scope.tags else run.policy.steps[order.step].lane,
                tenant=run.scope.tenant,
                priority=run.priority,
            )
    except TimeoutError:
        raise AttemptRefused(run.halt_or_timeout(order.step)) from None
    except LaneFull as full:
        raise AttemptRefused(full_halt(full, order.step)) from None


async def _reserved(run: TaskRun, order: AttemptOrder) -> AttemptIntent:
    """Hold the worst case, and foresee by it what the next one may cost."""
    try:
        intent = await _reserve(run, order)
    except BaseException:
        _not_sent(run, order)
        raise
    run.outlay.reserved(order.step, intent.reserve)
    return intent


async def _sent(run: TaskRun, order: AttemptOrder, intent: AttemptIntent) -> Outcome:
    """Send the request; what a client raises that it must not is booked before it goes on."""
    try:
        return await _on_wire(run, order)
    except Exception as error:
        # A client that breaks its contract may have spent money all the same.
        said = f"the client failed: {sentence(error, run.policy)}"
        await _book(run, order, intent, ModelCallError("broken", said))
        raise


async def _reserve(run: TaskRun, order: AttemptOrder) -> AttemptIntent:
    """Hold the worst case of the request."""
    now = run.clock.now()
    # What a memo asks anew is of that kind altogether, and no one is to wait for its sake.
    upkeep = cast("AttemptKind | None", run.scope.tags.get(UPKEEP))
    wanted = run.demands(now, finish=order.finish)
    on_wire_s = run.deadline.within(run.attempt_timeout_s(order.step))
    intent = AttemptIntent(
        attempt_id=new_attempt_id(),
        task_id=run.scope.task_id,
        epoch=run.epoch,
        key=order.key,
        request_hash=order.request_digest,
        step=order.step,
        kind=upkeep or order.kind,
        model=order.action.settings.name,
        provider_model=order.action.settings.model,
        reserve=order.action.bound,
        expires_at=now + timedelta(seconds=on_wire_s) + EXPIRY_GRACE,
        at=now,
        token_bound=order.action.token_bound,
        origin=order.action.settings.origin,
    )
    return await reserve(run, intent, giving_way(wanted) if upkeep else wanted, order.slot)


async def _on_wire(run: TaskRun, order: AttemptOrder) -> Outcome:
    """Send the request and see how it ends; never longer than the attempt may take."""
    own_s, left_s = run.attempt_timeout_s(order.step), run.deadline.remaining_s
    since = run.clock.monotonic()
    try:
        async with order.slot.during("wire", min(own_s, left_s)):
            return await run.client.ask(order.request, on_text=order.on_text)
    except TimeoutError:
        return "timed_out" if run.halt is None and own_s < left_s else "cancelled"
    except ModelCallError as error:
        return error
    finally:
        order.slot.wire_s = run.clock.monotonic() - since


async def _book(
    run: TaskRun, order: AttemptOrder, intent: AttemptIntent, outcome: Outcome
) -> JournaledReply | None:
    """Write the end of an attempt, and its reply if there is one, in one transaction."""
    action = order.action
    reserve = Reserve(amount=action.bound, quote=action.quote, tokens=action.token_bound)
    booking = settle(outcome, reserve, server_errors=run.policy.server_errors)
    completion = outcome if isinstance(outcome, Completion) else None
    now = run.clock.now()
    end = AttemptEnd(
        attempt_id=intent.attempt_id,
        end=booking.end,
        cost=booking.cost,
        overrun=booking.overrun,
        certainty=booking.certainty,
        usage=booking.usage,
        served_model=None if completion is None else completion.served_model,
        price_source=None if action.quote is None else action.quote.source,
        error=None if completion is not None else str(outcome),
        seconds=order.slot.seconds(),
        at=now,
        reply=None if completion is None else encode(completion),
    )
    await book(run, intent, end)
    order.slot.cost, order.slot.attempt_id = end.cost + end.overrun, intent.attempt_id
    run.outlay.took(end.seconds)
    run.gauge.after_attempt(AttemptRecord(intent, end).tokens)
    _tell_latch(run, action.settings.endpoint, outcome, overran=bool(end.overrun))
    if completion is None:
        return None
    believed = replace(completion, usage=booking.usage)
    reply = JournaledReply(intent.attempt_id, intent.model, believed, order.slot.cost)
    run.journal.add(order.key, reply)
    return reply


def _tell_latch(run: TaskRun, endpoint: str, outcome: Outcome, *, overran: bool) -> None:
    """How the attempt ended decides whether the model is asked again soon."""
    latch = run.services.latch
    if overran:
        latch.overran(endpoint)
    elif isinstance(outcome, ModelCallError):
        latch.failed(endpoint, outcome)
    elif isinstance(outcome, Completion):
        latch.succeeded(endpoint)
    else:
        latch.withdrew(endpoint)  # it was cut off: who else is let through may learn more
