"""What a ledger refuses, raised to whoever asked. None of it is shown to a user."""

from __future__ import annotations

from orchestrator.core.halt import HaltReason
from orchestrator.ledger.records import Balance, Demand


class BudgetShort(Exception):  # noqa: N818 - control flow between ledger and runtime, never shown
    """An account of the path can never serve the demand as things are.

    Attributes:
        demand: The demand that does not fit.
        balance: The account's balance when it was judged.
    """

    def __init__(self, demand: Demand, balance: Balance) -> None:
        """Carry what was judged."""
        super().__init__(demand.account.key)
        self.demand = demand
        self.balance = balance

    @property
    def left_nano(self) -> int:
        """What is not spent for good, in nano-dollars, below zero too: others may hold part."""
        gone = self.demand.withheld + self.balance.settled + self.balance.disputed
        return self.demand.limit.nano - gone.nano


class TaskSignalled(Exception):  # noqa: N818 - control flow between ledger and runtime, never shown
    """Someone asked this task to stop (``paused`` or ``cancelled``)."""

    def __init__(self, reason: HaltReason) -> None:
        """Carry the reason."""
        super().__init__(reason)
        self.reason = reason


class AlreadyEnded(Exception):  # noqa: N818 - names the fact
    """An attempt was to be resolved a second time."""
