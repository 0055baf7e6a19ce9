"""A process of a simulation: it has a ledger of its own, and a clock that may be wrong."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, cast

from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.bookkeeping.waiting import Ask
from orchestrator.ledger.stores.store import Store
from orchestrator.testing.teller import Teller
from orchestrator.testing.unreliable_store import UnreliableStore

_START = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
"""An hour and a half before clocks go back in Berlin."""


Wish: TypeAlias = "float | tuple[Operation, float | None]"
"""Seconds to sleep; or what to do, and for how many seconds its answer is waited for."""
Script: TypeAlias = Generator[Wish, None, None]


class VirtualTime:
    """Seconds since the start, the same for all; clocks on walls show other things."""

    seconds = 0.0


@dataclass(slots=True)
class Waiter:
    """A script that waits for an operation; ``None`` once it has given up."""

    operation: Operation
    script: Script | None

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer; an ask for money may have to wait for it."""
        one = self.operation
        return not isinstance(one, Ask) or one.error is not None or one.wait_at is None


@dataclass(eq=False, slots=True)
class Process:
    """One process: a ledger of its own, and a clock."""

    name: str
    time: VirtualTime
    store: UnreliableStore
    skew: timedelta = timedelta(0)
    asleep_until: float = 0.0
    is_dead: bool = False
    is_busy: bool = False
    queued: list[Waiter] = field(default_factory=list)
    unanswered: list[Waiter] = field(default_factory=list)
    tasks: set[str] = field(default_factory=set)
    teller: Teller = field(init=False)

    def __post_init__(self) -> None:
        """Open its ledger."""
        self.teller = Teller(cast("Store", self.store), self.now)
        self.teller.open()

    def now(self) -> datetime:
        """What its clock shows."""
        return _START + timedelta(seconds=self.time.seconds) + self.skew
