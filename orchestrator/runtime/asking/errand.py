"""Getting a reply of a model on behalf of an ask: attempts, retries, and waiting for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from math import inf

from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptKind
from orchestrator.models.protocol import ModelCallError
from orchestrator.models.retry import retrying
from orchestrator.runtime.asking.actions import Action
from orchestrator.runtime.asking.attempt import AttemptOrder, AttemptTimedOut, perform
from orchestrator.runtime.asking.pooled import Endpoints
from orchestrator.runtime.asking.rest import RunClock
from orchestrator.runtime.run.places import Place
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.slot import Slot
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.shared.engine import mirror
from orchestrator.runtime.spending.booking import AttemptRefused
from orchestrator.runtime.storage.journal import JournaledReply

OnText = Callable[[str], None]


@dataclass(slots=True)
class Errand:
    """What a model is asked on behalf of an ask, and what that has cost so far.

    Attributes:
        run: The task.
        request: What is asked.
        place: The node that asks.
        key: The journal key: whoever has the same errand finds its replies.
        on_text: Told of each piece of a streamed reply.
        shown: Whether a piece was told.
        cost: What it has cost so far.
        seconds: How long it was on the wire so far.
        last_id: The attempt that ended last; empty: none did.
        economizes: Whether only the cheapest is asked, and no check that costs.
        needs_s: How long who is asked needs at the least, so that a later call would be in vain.
        logprobs: Whether the log-probabilities of its replies are wanted.
    """

    run: TaskRun
    request: AskRequest
    place: Place
    key: str
    on_text: OnText | None = None
    shown: bool = False
    cost: Money = Money.ZERO
    seconds: float = 0.0
    last_id: str = ""
    needs_s: float = 0.0
    logprobs: bool = False
    economizes: bool = False

    def show(self, text: str) -> None:
        """Hand on a piece of a streamed reply."""
        assert self.on_text is not None
        self.shown = True
        self.on_text(text)


async def join_earlier(run: TaskRun, key: str) -> None:
    """Wait for an attempt that an earlier execution of this node left on its way."""
    earlier = run.journal.in_flight.get(key)
    if earlier is not None:
        await asyncio.wait([asyncio.wrap_future(mirror(earlier))])


def stop_if_halted(errand: Errand) -> None:
    """Refuse the node if the task has halted.

    Raises:
        Halted: If it has.
    """
    if stopped := errand.run.stopped():
        raise errand.run.refuse(stopped, errand.place)


async def obtain(errand: Errand, action: Action, *, kind: AttemptKind) -> JournaledReply:
    """Get a reply of one action, trying again where a retry can help.

    Raises:
        AttemptRefused: If no request may leave.
        Halted: If the task halted meanwhile.
        ModelCallError: If there is no usable answer.
    """
    run = errand.run
    stop_if_halted(errand)  # before anybody is let through to a model that failed
    endpoints = Endpoints(run, action)
    asked = endpoints.first()
    kinds: Iterator[AttemptKind] = chain([kind], repeat("retry"))
    error: ModelCallError | None = None

    async def once() -> JournaledReply:
        nonlocal asked, error
        if error is not None:
            stop_if_halted(errand)
            asked = endpoints.after(asked)
        now = next(kinds)
        while True:
            try:
                return await _follow(errand, _order(errand, asked, now))
            except ModelCallError as failed:
                error = failed
                endpoints.failed(asked, failed)
                raise
            except AttemptRefused as refused:
                if refused.need is None:
                    raise
                cheaper = endpoints.cheaper(refused.need)
                if cheaper is not None:
                    asked = cheaper
                elif error is not None and endpoints.may_yet_answer(error):
                    raise error from refused
                else:
                    raise

    def may_retry() -> bool:
        if errand.shown or run.halt or isinstance(error, AttemptTimedOut):
            return False
        return run.deadline.remaining_s >= errand.needs_s

    remaining_s = run.deadline.remaining_s
    return await retrying(
        clock=RunClock(run),
        budget=run.services.retry_budget(action.settings.endpoint),
        deadline=None if remaining_s == inf else run.clock.monotonic() + remaining_s,
        may_retry=may_retry,
        is_elsewhere=endpoints.is_elsewhere,
    )(once)


def _order(errand: Errand, asked: Action, kind: AttemptKind) -> AttemptOrder:
    """One attempt on behalf of an ask."""
    request = errand.request
    return AttemptOrder(
        key=errand.key,
        request_digest=request.digest,
        step=request.step,
        kind=kind,
        action=asked,
        request=request.to(asked.settings, logprobs=errand.logprobs),
        finish=request.finish,
        on_text=errand.show if errand.on_text is not None else None,
        slot=Slot(needs_s=errand.needs_s),
    )


async def _follow(errand: Errand, order: AttemptOrder) -> JournaledReply:
    """Leave an attempt to the engine and wait for it; whoever stops waiting does not stop it."""
    run = errand.run
    landing = run.in_flight.launch(order.slot, perform(run, order), order.key)
    try:
        await asyncio.wrap_future(mirror(landing))
    except asyncio.CancelledError:
        run.in_flight.withdraw(order.slot)
        raise
    errand.cost += order.slot.cost
    errand.seconds += order.slot.wire_s
    errand.last_id = order.slot.attempt_id or errand.last_id
    return landing.result()
