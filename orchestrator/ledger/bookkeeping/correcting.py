"""Resolving a doubt: what an attempt whose owner died really cost, as a new entry."""

from __future__ import annotations

from orchestrator.core.money import Money
from orchestrator.ledger.afterwards import Correction, NotInDoubt
from orchestrator.ledger.bookkeeping.unit import UnitOfWork


def correct(unit: UnitOfWork, correction: Correction) -> None:
    """Book what an attempt in doubt cost, in place of its reserve or of an earlier correction.

    An account that was opened after the attempt counts the reserve for good: it began with it.

    Raises:
        NotInDoubt: If there is no such attempt, or its owner did not die.
    """
    attempt_id = correction.attempt_id
    hold = unit.hold(attempt_id)
    standing = None if hold is None else unit.flushed().standing(hold.seq)
    if hold is None:
        message = f"the ledger has no attempt {attempt_id}"
        raise NotInDoubt(message)
    if standing is None:
        message = f"attempt {attempt_id} is still open: it ends, or is in doubt once it is overdue"
        raise NotInDoubt(message)
    if standing.kind != "expired":
        message = f"attempt {attempt_id} is not in doubt: it was {standing.kind} by its owner"
        raise NotInDoubt(message)
    overrun = max(correction.cost - Money(hold.reserve), Money.ZERO)
    unit.flushed().insert_correction(hold.seq, correction, overrun=overrun)
    rows = unit.accounts_of(hold)
    for row in rows:
        if standing.is_corrected:
            row.settled -= standing.cost
            row.overrun -= standing.overrun
        else:
            row.disputed -= hold.reserve
        row.settled += (correction.cost - overrun).nano
        row.overrun += overrun.nano
    unit.book(rows)
    unit.freed.update(row.key for row in rows)
