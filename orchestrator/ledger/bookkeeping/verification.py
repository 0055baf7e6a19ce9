"""Whether the balances are what the facts say: promise 6, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.ledger.records import Balance
from orchestrator.ledger.stores.rows import AccountRow
from orchestrator.ledger.stores.store import Store


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose stored balance is not the fold of its attempts."""

    account: str
    stored: Balance
    folded: Balance


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    Attributes:
        accounts: How many accounts were recomputed.
        attempts: How many attempts were folded.
        differences: The accounts that are wrong.
        orphans: Rows that refer to a row that is not there, each described.
    """

    accounts: int
    attempts: int
    differences: Sequence[Difference]
    orphans: Sequence[str]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.differences and not self.orphans


def verify(store: Store) -> Verification:
    """Recompute every account: its seed plus all that its attempts did to it."""
    stored: dict[int, AccountRow] = {}
    folded: dict[int, AccountRow] = {}
    for row, seed in store.accounts():
        stored[row.account_id] = row
        folded[row.account_id] = seed
    attempts = 0
    for fact in store.facts():
        attempts += 1
        for account_id in fact.account_ids:
            sums = folded.get(account_id)
            if sums is None:  # listed among the orphans
                continue
            sums.overrun += fact.overrun
            if fact.end is None:
                sums.reserved += fact.reserve
            elif fact.end == "expired":
                sums.disputed += fact.cost
            else:
                sums.settled += fact.cost
    differences = [
        Difference(row.key, row.balance(), folded[account_id].balance())
        for account_id, row in stored.items()
        if row.balance() != folded[account_id].balance()
    ]
    return Verification(len(stored), attempts, differences, store.orphans())
