"""What the log of each tenant teaches, kept up with while tasks run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakSet

from orchestrator.core.clock import Clock
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.protocol import Ledger
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import StepKey, fact_of
from orchestrator.runtime.shared.engine import Engine, mirror

LOOK_AFTER_S = 1.0
"""How long what another process learned may stay unnoticed by a task that runs."""
PAGE = 1000
"""Lessons that an ask may wait for at the most, once a tenant's log was read."""


@dataclass(slots=True)
class _Tenant:
    """What was read of one tenant's log.

    Attributes:
        lock: Held while facts are taken in, and while beliefs are put in place.
        reading: What brings it up to date; `None`: nothing does.
        fitting: What works out what is due, likewise.
    """

    name: str
    knowledge: Knowledge = field(default_factory=Knowledge)
    read_at: float = 0.0
    is_loaded: bool = False
    is_behind: bool = True
    is_unsettled: bool = False
    seen_by: WeakSet[object] = field(default_factory=WeakSet)
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: Future[None] | None = None
    fitting: Future[None] | None = None


class Learner:
    """Reads lessons from the ledger and folds them, on the engine and on threads of its own.

    Everything that is decided follows from the log: what this process notes counts once it is read
    back, as what any other process notes. An ask waits for a page of it at the most, and never for
    a fit: until that is done, what was believed before serves. Only the first question of a process
    waits for everything.
    """

    def __init__(self, ledger: Ledger, engine: Engine, clock: Clock) -> None:
        """Learn from ``ledger``; nothing is read before it is asked for."""
        self._ledger, self._engine, self._clock = ledger, engine, clock
        self._tenants: dict[str, _Tenant] = {}
        self._reported: set[tuple[str, StepKey, float | None]] = set()
        self._lock = threading.Lock()
        # Not on a loop that others wait for; and a fit of one tenant keeps no other from reading.
        self._folding = ThreadPoolExecutor(1, thread_name_prefix="orchestrator-learner")
        self._fitting = ThreadPoolExecutor(1, thread_name_prefix="orchestrator-fitter")

    async def knowledge(self, tenant: str, reader: object) -> Knowledge:
        """What the tenant's log teaches.

        Args:
            tenant: Whose.
            reader: Who asks, a task: its first question reads whatever there is.

        Raises:
            LedgerUnavailable: If the log cannot be read.
        """
        found = self._of(tenant)
        if (reading := self._keep_up(found, reader)) is not None:
            await _ended(reading)
        return found.knowledge

    def present(self, tenant: str, reader: object) -> Knowledge | None:
        """The same, if nothing has to be waited for; else ``None``."""
        found = self._of(tenant)
        return found.knowledge if self._keep_up(found, reader) is None else None

    def expect(self, tenant: str, reader: object) -> None:
        """Begin to read what a task will ask for, so that its first question need not wait."""
        self._keep_up(self._of(tenant), reader)

    def taught(self, tenant: str) -> None:
        """Have the next question read what was told in between."""
        self._of(tenant).is_behind = True

    async def learn(self, tenant: str) -> None:
        """Take in all that was told, and work out what follows from it.

        Raises:
            LedgerUnavailable: If the log cannot be read.
        """
        found = self._of(tenant)
        found.is_behind = True
        if not found.is_loaded and found.reading is None:
            return  # nobody asks here: whoever does first reads it all
        while (reading := self._keep_up(found, self)) is not None:
            await _ended(reading)
        if (fitting := found.fitting) is not None:
            await _ended(fitting)

    def is_news(self, tenant: str, key: StepKey, threshold: float | None) -> bool:
        """Whether it is said for the first time here that no model reaches this threshold."""
        what = (tenant, key, threshold)
        if what in self._reported:
            return False
        self._reported.add(what)
        return True

    async def aclose(self) -> None:
        """Wait for what is on its way, and end the threads."""
        for found in self._tenants.values():
            for work in (found.reading, found.fitting):
                if work is not None:
                    await asyncio.wrap_future(mirror(work))
        self._folding.shutdown()
        self._fitting.shutdown()

    def _of(self, tenant: str) -> _Tenant:
        return self._tenants.get(tenant) or self._tenants.setdefault(tenant, _Tenant(tenant))

    def _keep_up(self, found: _Tenant, reader: object) -> Future[None] | None:
        """What is to be waited for before knowledge is up to date; ``None``: it is."""
        with self._lock:
            if found.reading is not None:
                return found.reading
            is_old = self._clock.monotonic() - found.read_at >= LOOK_AFTER_S
            if not (found.is_behind or is_old or reader not in found.seen_by):
                return None
            found.seen_by.add(reader)
            found.is_behind = False
            reading = found.reading = self._engine.submit(self._read(found))
        reading.add_done_callback(lambda done: self._was_read(found, done))
        return reading

    async def _read(self, found: _Tenant) -> None:
        while True:
            after = found.knowledge.read_to
            lessons = await self._ledger.lessons(found.name, after=after, limit=PAGE)
            if lessons:
                found.is_unsettled = True
                await asyncio.wrap_future(self._folding.submit(_fold, found, lessons))
            is_whole = len(lessons) < PAGE
            if is_whole or found.is_loaded:
                break
        found.is_behind |= not is_whole
        if not found.is_loaded:
            await self._fit(found)
            found.is_loaded = True
        elif found.is_unsettled and found.fitting is None:
            found.fitting = self._engine.submit(self._fit(found))

    async def _fit(self, found: _Tenant) -> None:
        while found.is_unsettled:
            found.is_unsettled = False
            await asyncio.wrap_future(self._fitting.submit(_settle, found))
        found.fitting = None

    def _was_read(self, found: _Tenant, done: Future[None]) -> None:
        with self._lock:
            found.reading = None
            found.read_at = self._clock.monotonic()
            found.is_behind |= done.cancelled() or done.exception() is not None


async def _ended(work: Future[None]) -> None:
    """Wait for what others wait for too; whoever stops waiting does not stop it."""
    await asyncio.wrap_future(mirror(work))
    work.result()


def _fold(found: _Tenant, lessons: Sequence[Lesson]) -> None:
    with found.lock:
        for lesson in lessons:
            found.knowledge.fold(fact_of(lesson))
            found.knowledge.read_to = lesson.seq


def _settle(found: _Tenant) -> None:
    with found.lock:
        steps = tuple(found.knowledge.steps.values())
    for step in steps:
        with found.lock:
            work = step.work()
        if work is not None:
            belief = work.carry_out()
            with found.lock:
                step.adopt(work, belief)
