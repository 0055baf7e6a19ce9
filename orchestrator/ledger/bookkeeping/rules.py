"""Whether an attempt may reserve, must wait, or is refused: promise 2, without any state."""

from __future__ import annotations

from typing import Literal, Protocol

from orchestrator.ledger.records import Demand

Verdict = Literal["grant", "wait", "refuse"]


class Sums(Protocol):
    """What is booked on an account, in nano-dollars."""

    settled: int
    reserved: int
    disputed: int


def judge(need: int, sums: Sums, demand: Demand) -> Verdict:
    """Judge a need against one account of its path.

    What is settled or disputed is gone for good. What is reserved may come back, for a reserve is a
    worst case: only that is worth waiting for.

    Args:
        need: The worst case of the attempt, in nano-dollars.
        sums: What is booked on the account.
        demand: The budget's amount, and the part of it this attempt may not touch.
    """
    available = demand.limit.nano - demand.withheld.nano - sums.settled - sums.disputed
    if need <= available - sums.reserved:
        return "grant"
    return "wait" if need <= available else "refuse"
