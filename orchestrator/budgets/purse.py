"""What one task may spend on a purpose beside its work, such as judging its replies."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from orchestrator.core.money import Money


class Purse:
    """Counts what is held and spent, by name.

    It is kept in the process that owns the task and no other, which makes it exact: a task has one
    owner at a time. The ledger holds the money itself; a purse only says how much of a task's money
    may go one way.
    """

    def __init__(self, spent: Mapping[str, Money]) -> None:
        """Start from what was spent before, by name."""
        self._taken = dict(spent)
        self._lock = threading.Lock()

    def take(self, name: str, bound: Money, limit: Money) -> bool:
        """Hold ``bound`` if that stays within ``limit``; whether it was held."""
        with self._lock:
            taken = self._taken.get(name, Money.ZERO) + bound
            if taken > limit:
                return False
            self._taken[name] = taken
            return True

    def settle(self, name: str, bound: Money, cost: Money) -> None:
        """Put ``cost`` in the place of what was held."""
        with self._lock:
            self._taken[name] += cost - bound
