"""Waiting for a place: the lane and the rates of one attempt, within its task's time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from orchestrator.core.clock import Clock
from orchestrator.core.halt import Halt
from orchestrator.core.priority import TURN, Priority
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest
from orchestrator.models.rates import RateSettings
from orchestrator.models.settings import ModelSettings
from orchestrator.routing.admission import Admission, LaneFull, LaneSettings, Ticket
from orchestrator.routing.candidates import estimate_input_tokens
from orchestrator.routing.meters import Meter

if TYPE_CHECKING:
    from orchestrator.budgets.settlement import Outcome


class Admitting:
    """The lanes and rates of one process. All methods run on the engine's loop."""

    def __init__(
        self,
        clock: Clock,
        lanes: Mapping[str, LaneSettings],
        rates: Mapping[str, RateSettings],
    ) -> None:
        """Nothing is under way.

        Args:
            clock: Time.
            lanes: The lanes by name.
            rates: The rates of providers by name (``openai``).
        """
        self._clock = clock
        self._rates = rates
        self._admission = Admission(lanes)
        self._woken: dict[Ticket, asyncio.Event] = {}

    async def enter(
        self, request: ModelRequest, *, lane: str | None, tenant: str, priority: Priority
    ) -> Ticket | None:
        """Wait for a place; give it back with :meth:`leave`.

        Returns:
            The place; ``None`` if nothing limits this request.

        Raises:
            LaneFull: If the lane's queue has no place left.
        """
        meters = self._meters_of(request.settings)
        if lane is None and not meters:
            return None
        ticket = Ticket(
            lane=lane,
            tenant=tenant,
            priority=-TURN[priority],
            meters=meters,
            # As providers count them: what is asked, and all that may be answered.
            tokens=estimate_input_tokens(request.messages, request.tools)
            + request.settings.max_output_tokens,
        )
        self._wake(self._admission.enter(ticket, self._clock.monotonic()))
        woken = self._woken[ticket] = asyncio.Event()
        try:
            while not ticket.admitted:
                woken.clear()
                await self._rest(woken, self._admission.wait_s(ticket, self._clock.monotonic()))
        except BaseException:
            self._leave(ticket, None)
            raise
        finally:
            del self._woken[ticket]
        return ticket

    def leave(self, ticket: Ticket | None, endpoint: str, outcome: Outcome | None) -> None:
        """Give a place back, and learn what the provider lets through.

        Args:
            ticket: The place.
            endpoint: Who was asked.
            outcome: How that ended; ``None``: nothing was sent.
        """
        if isinstance(outcome, Completion | ModelCallError):
            self._told(endpoint, outcome)
        if ticket is not None:
            self._leave(ticket, _used(outcome, ticket.tokens))

    def _told(self, endpoint: str, outcome: Completion | ModelCallError) -> None:
        now = self._clock.monotonic()
        if isinstance(outcome, ModelCallError) and outcome.retry_after_s:
            self._admission.pause(endpoint, outcome.retry_after_s, now)
        if outcome.rates is not None:
            self._wake(self._admission.told(endpoint, outcome.rates, now))

    def _leave(self, ticket: Ticket, used: int | None) -> None:
        self._wake(self._admission.leave(ticket, self._clock.monotonic(), used=used))

    def _meters_of(self, settings: ModelSettings) -> tuple[str, ...]:
        """The meters of a model: its endpoint's, and its provider's."""
        meters, now = self._admission.meters, self._clock.monotonic()
        provider = settings.model.partition("/")[0]
        rates = {settings.endpoint: settings.rate, provider: self._rates.get(provider)}
        for name, rate in rates.items():
            if rate is not None and name not in meters:
                meters[name] = Meter.of(rate, now)
        return tuple(name for name in rates if name in meters)

    async def _rest(self, woken: asyncio.Event, seconds: float | None) -> None:
        """Wait to be woken; after ``seconds`` see oneself who may leave."""
        if seconds is None:
            await woken.wait()
            return
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(woken.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
        if sleeping.done():
            self._wake(self._admission.dispatch(self._clock.monotonic()))

    def _wake(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            if ticket in self._woken:
                self._woken[ticket].set()


def _used(outcome: Outcome | None, probably: int) -> int | None:
    """How many tokens an attempt used, as its provider counts them; ``None``: nothing was sent."""
    match outcome:
        case None:
            return None
        case Completion(usage=Usage() as usage):
            return usage.total_tokens
        case ModelCallError(kind="not_connected" | "rate_limited" | "rejected"):
            return 0
        case _:
            return probably


def full_halt(full: LaneFull, step: str) -> Halt:
    """The halt of a step whose lane has no place, not even to wait."""
    return Halt(
        reason="no_model",
        scope="task",
        step=step,
        detail=(
            f"{full}, so step {step!r} asks no model now. Resume when there is less to do, or give "
            "the lane more concurrency or a longer queue."
        ),
    )
