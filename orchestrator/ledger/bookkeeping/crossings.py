"""Thresholds of budgets: each is crossed once in a window, whoever notices first."""

from __future__ import annotations

from orchestrator.ledger.afterwards import Crossing
from orchestrator.ledger.bookkeeping.unit import UnitOfWork


def cross(unit: UnitOfWork, crossing: Crossing, at_us: int) -> bool:
    """Note a crossing; whether it is the first to be noted."""
    store = unit.flushed()
    if crossing in store.crossings([crossing.account]):
        return False
    store.insert_crossing(crossing, at_us)
    return True
