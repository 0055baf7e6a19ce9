"""What may enter the queue: values every store can write.

Checked in the caller's hands, so that one bad value is its caller's error and never fails the
transaction that others share with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.money import Money
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Demand

MAX_NANO = 10**18
"""The largest amount, a billion dollars: a sum of nine still fits 64 bits, and what is booked on an
account stays below its limit."""


def check_text(*texts: str) -> None:
    """Refuse text that is no Unicode.

    Raises:
        ValueError: If it contains a lone surrogate.
    """
    "".join(texts).encode()


def check_intent(intent: AttemptIntent) -> None:
    """Refuse an intent that cannot be stored.

    Raises:
        ValueError: If an amount, a time or a text is impossible.
    """
    _check_amount("reserve", intent.reserve)
    check_text(
        intent.attempt_id,
        intent.task_id,
        intent.key,
        intent.request_hash,
        intent.step,
        intent.model,
        intent.provider_model,
    )
    if intent.at.tzinfo is None or intent.expires_at.tzinfo is None:
        message = f"attempt {intent.attempt_id} has a time without a time zone; give it in UTC"
        raise ValueError(message)


def check_demands(demands: Sequence[Demand]) -> None:
    """Refuse demands that cannot be judged.

    Raises:
        ValueError: If an amount is impossible.
    """
    for demand in demands:
        _check_amount("limit", demand.limit)
        _check_amount("withheld", demand.withheld)


def check_end(end: AttemptEnd) -> AttemptEnd:
    """Refuse an end that cannot be booked; return it with its error text made storable.

    Raises:
        ValueError: If an amount, a time or a text is impossible.
    """
    if end.end == "expired":
        message = f"attempt {end.attempt_id}: only the ledger expires an attempt"
        raise ValueError(message)
    _check_amount("cost", end.cost)
    _check_amount("overrun", end.overrun)
    _check_amount("saved", end.saved)
    if end.end == "released" and (end.cost or end.overrun):
        message = f"attempt {end.attempt_id} was released, so it costs nothing; settle it instead"
        raise ValueError(message)
    if end.at.tzinfo is None:
        message = f"attempt {end.attempt_id} ended without a time zone; give the time in UTC"
        raise ValueError(message)
    check_text(end.attempt_id, end.price_source or "")
    # What a provider says may be anything; that it said it is worth more than how.
    error, served_model = _clean(end.error), _clean(end.served_model)
    if error == end.error and served_model == end.served_model:
        return end
    return replace(end, error=error, served_model=served_model)


def _check_amount(name: str, amount: Money) -> None:
    if not 0 <= amount.nano <= MAX_NANO:
        message = f"{name} is {amount}; it must lie between $0 and {Money(MAX_NANO)}"
        raise ValueError(message)


def _clean(text: str | None) -> str | None:
    return None if text is None else text.encode(errors="replace").decode()
