"""Which version of orchestrator wrote a ledger: older ones are migrated, newer ones refused."""

from __future__ import annotations

from orchestrator.core.errors import LedgerUnavailable


def check_newest(newest: int, *, known: int) -> None:
    """See that the newest migration of a ledger is the newest that this version knows.

    Raises:
        LedgerUnavailable: If the ledger is older or newer.
    """
    if newest > known:
        message = "the ledger was written by a newer version of orchestrator; upgrade this one"
        raise LedgerUnavailable(message)
    if newest < known:
        message = "the ledger was written by an older version; run an agent on it to migrate it"
        raise LedgerUnavailable(message)
