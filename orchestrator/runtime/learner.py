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

LOOK_AFTER_S = 1.0
"""How long what another process learned may stay unnoticed by a task that runs."""
_PAGE = 1000


@dataclass(slots=True)
class _Tenant:
    """What was read of one tenant's log."""

    knowledge: Knowledge = field(default_factory=Knowledge)
    read_to: int = 0
    read_at: float = 0.0
    is_behind: bool = True
    seen_by: WeakSet[object] = field(default_factory=WeakSet)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Learner:
    """Reads lessons from the ledger and folds them, on a thread of its own.

    Everything that is decided follows from the log: what this process notes counts once it is read
    back, as what any other process notes.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        """Learn from ``ledger``; nothing is read before it is asked for."""
        self._ledger = ledger
        self._clock = clock
        self._tenants: dict[str, _Tenant] = {}
        self._reported: set[tuple[str, StepKey, float | None]] = set()
        # A fit takes some hundredths of a second: not on the loop of an agent.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="orchestrator-learner")

    async def knowledge(self, tenant: str, reader: object) -> Knowledge:
        """What the tenant's log teaches.

        Args:
            tenant: Whose.
            reader: Who asks, a task: its first question reads whatever there is.

        Raises:
            LedgerUnavailable: If the log cannot be read.
        """
        found = self._tenants.get(tenant) or self._tenants.setdefault(tenant, _Tenant())
        now = self._clock.monotonic()
        if found.is_behind or reader not in found.seen_by or now - found.read_at >= LOOK_AFTER_S:
            found.seen_by.add(reader)
            found.is_behind, found.read_at = False, now
            try:
                await self._catch_up(tenant, found)
            except BaseException:
                found.is_behind = True
                raise
        return found.knowledge

    def taught(self, tenant: str) -> None:
        """Have the next question read what was told in between."""
        self._tenants.setdefault(tenant, _Tenant()).is_behind = True

    def is_news(self, tenant: str, key: StepKey, threshold: float | None) -> bool:
        """Whether it is said for the first time here that no model reaches this threshold."""
        what = (tenant, key, threshold)
        if what in self._reported:
            return False
        self._reported.add(what)
        return True

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def _catch_up(self, tenant: str, found: _Tenant) -> None:
        while lessons := await self._ledger.lessons(tenant, after=found.read_to, limit=_PAGE):
            folding: Future[None] = self._thread.submit(_fold, found, lessons)
            await asyncio.shield(asyncio.wrap_future(folding))
            if len(lessons) < _PAGE:
                break


def _fold(found: _Tenant, lessons: Sequence[Lesson]) -> None:
    with found.lock:
        for lesson in lessons:
            # Two tasks may have read the same page.
            if lesson.seq > found.read_to:
                found.knowledge.fold(fact_of(lesson))
                found.read_to = lesson.seq
