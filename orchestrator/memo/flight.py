"""Single flight inside one process: one asker leads, the others wait for its answer.

Askers may be tasks of any event loop in any thread. A flight ends in one of three ways: it
*lands* (everyone gets the entry), it is *handed over* (exactly one waiter leads on), or it is
*dispersed* (there is nothing to share, everyone asks alone).
"""

from __future__ import annotations

import asyncio
import enum
import threading
from collections import deque
from collections.abc import Callable

from orchestrator.core.errors import OrchestratorError
from orchestrator.memo.entry import Entry


class WaitedOut(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """The time ran out while another asker of the same key was still asking."""


class Signal(enum.Enum):
    """What a waiter is told when there is no entry for it."""

    LEAD = "lead"
    ALONE = "alone"


Outcome = Entry | Signal


class Flight:
    """One key on its way. Held by its leader.

    Attributes:
        key: The key.
        claimed: Whether the store's claim on the key is held too; it moves with the lead.
    """

    __slots__ = ("claimed", "key", "waiters")

    def __init__(self, key: str) -> None:
        """Start with no one waiting."""
        self.key = key
        self.claimed = False
        self.waiters: deque[Waiter] = deque()


class Waiter:
    """One asker that waits, on its own event loop."""

    __slots__ = ("_flights", "flight", "future", "loop")

    def __init__(self, flight: Flight, flights: Flights) -> None:
        """Wait for ``flight`` on the running loop."""
        self.flight = flight
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Outcome] = self.loop.create_future()
        self._flights = flights

    def tell(self, outcome: Outcome) -> bool:
        """Pass on how it ended, from any thread; ``False`` if the waiter's loop is closed."""
        try:
            self.loop.call_soon_threadsafe(self._arrive, outcome)
        except RuntimeError:
            return False
        return True

    def _arrive(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)
        elif outcome is Signal.LEAD:
            # It gave up in the same moment: the lead must not be lost with it.
            self._flights.hand_over(self.flight)


class Flights:
    """The flights of one process."""

    def __init__(self, on_end: Callable[[Flight], None]) -> None:
        """Start with none; ``on_end`` is told of each flight that is over."""
        self._mutex = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._on_end = on_end

    def join(self, key: str) -> Flight | Waiter:
        """Lead the flight of ``key``, or wait for it."""
        with self._mutex:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight(key)
                return flight
            waiter = Waiter(flight, self)
            flight.waiters.append(waiter)
            return waiter

    def lead(self, key: str) -> Flight | None:
        """Lead the flight of ``key`` if there is none."""
        with self._mutex:
            if key in self._flights:
                return None
            flight = self._flights[key] = Flight(key)
            return flight

    async def wait(self, waiter: Waiter, wait_s: float | None) -> Outcome:
        """How the flight ended for this waiter.

        Raises:
            WaitedOut: If that takes longer than ``wait_s`` seconds.
        """
        try:
            async with asyncio.timeout(wait_s):
                return await waiter.future
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                message = "the time ran out while another asker of the same request was asking"
                raise WaitedOut(message) from error
            raise

    def land(self, flight: Flight, entry: Entry) -> None:
        """Give ``entry`` to everyone."""
        self._end(flight, entry)

    def disperse(self, flight: Flight) -> None:
        """Let everyone ask alone."""
        self._end(flight, Signal.ALONE)

    def hand_over(self, flight: Flight) -> None:
        """Let exactly one waiter lead on; without any, the flight ends."""
        while True:
            with self._mutex:
                if not flight.waiters:
                    self._flights.pop(flight.key, None)
                    break
                heir = flight.waiters.popleft()
            if heir.tell(Signal.LEAD):
                return
        self._on_end(flight)

    def _end(self, flight: Flight, outcome: Outcome) -> None:
        with self._mutex:
            self._flights.pop(flight.key, None)
            waiters = tuple(flight.waiters)
            flight.waiters.clear()
        for waiter in waiters:
            waiter.tell(outcome)
        self._on_end(flight)

    def _leave(self, waiter: Waiter) -> None:
        with self._mutex:
            if waiter in waiter.flight.waiters:
                waiter.flight.waiters.remove(waiter)
        future = waiter.future
        if future.done() and not future.cancelled() and future.result() is Signal.LEAD:
            self.hand_over(waiter.flight)
