"""What the memo may spend on its own upkeep in a day."""

from __future__ import annotations

import threading

from orchestrator.core.clock import Clock
from orchestrator.core.money import Money


class DailyAllowance:
    """An amount per UTC day and process, taken before it is spent.

    It decides whether upkeep is worth beginning. The attempt itself still passes the budgets of the
    ledger like any other.
    """

    def __init__(self, limit: Money | None, clock: Clock) -> None:
        """Allow ``limit`` a day; ``None`` allows nothing."""
        self._limit = limit
        self._clock = clock
        self._mutex = threading.Lock()
        self._day = ""
        self._taken = Money.ZERO

    def take(self, amount: Money) -> bool:
        """Set ``amount`` aside if the day still has that much; whether it was."""
        if self._limit is None:
            return False
        with self._mutex:
            self._turn_day()
            if self._taken + amount > self._limit or self._taken >= self._limit:
                return False
            self._taken += amount
            return True

    def correct(self, taken: Money, spent: Money) -> None:
        """Replace what was set aside by what it really cost."""
        with self._mutex:
            self._turn_day()
            self._taken = max(Money.ZERO, self._taken + spent - taken)

    def _turn_day(self) -> None:
        day = self._clock.now().date().isoformat()
        if day != self._day:
            self._day, self._taken = day, Money.ZERO
