"""What the end of an attempt books, and how sure that is: one table, one function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.events import Certainty
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import EndKind
from orchestrator.ledger.validation import MAX_COUNT, MAX_NANO
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.pricing.quote import Quote

ServerErrors = Literal["free", "bound"]
Outcome = Completion | ModelCallError | Literal["timed_out", "cancelled"]

# A provider counts what we cannot see, but not this much of it: beyond, the count is garbage.
_IMPOSSIBLE_TIMES_BOUND = 4


@dataclass(frozen=True, slots=True)
class Booking:
    """What an attempt's end books.

    Attributes:
        cost: On the accounts; never above the reserve.
        overrun: What the provider billed above the reserve; not zero means that its price or its
            counting is not what we believe.
        certainty: How sure ``cost`` is.
        end: ``released`` if nothing was billed for sure, else ``settled``.
        usage: The provider's counts, if they can be true.
    """

    cost: Money
    overrun: Money
    certainty: Certainty
    end: EndKind
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What was reserved for an attempt, and on what grounds.

    Attributes:
        amount: The worst case that is held.
        quote: The price it was computed with; ``None`` if no source knows one and the policy says
            ``unknown_price: free``.
        tokens: Input and output tokens at most.
    """

    amount: Money
    quote: Quote | None
    tokens: int


def settle(outcome: Outcome, reserve: Reserve, *, server_errors: ServerErrors = "free") -> Booking:
    """What the end of an attempt books.

    | end of the attempt | booked | certainty |
    |---|---|---|
    | not connected, 429, other 4xx | 0 | known |
    | complete, usage possible | its price; above the reserve: overrun | known |
    | 5xx with the provider's own error | 0, or by ``server_errors`` the reserve | estimated |
    | cut, timed out, cancelled, unreadable | the reserve | estimated |
    | complete, usage missing or impossible | the reserve | estimated |

    A price that was assumed (``unknown_price: estimate``) or is stale, and one of another service
    tier than the one that was served, make no cost surer than ``estimated``.
    Without any price (``unknown_price: free``) whatever may have been billed is booked at what was
    reserved for it and is ``unknown``: such attempts are counted, never taken for free ones.

    Args:
        outcome: How the attempt ended; streamed or not makes no difference.
        reserve: What was reserved for it.
        server_errors: ``bound`` for gateways that bill requests that failed.
    """
    match outcome:
        case ModelCallError(kind="not_connected" | "rate_limited" | "rejected"):
            return Booking(Money.ZERO, Money.ZERO, "known", "released")
        case ModelCallError(kind="server_error") if server_errors == "free":
            return Booking(Money.ZERO, Money.ZERO, "estimated", "settled")
        case Completion(usage=Usage() as usage) if _is_possible(usage, reserve):
            return _billed(usage, reserve)
        case _:
            return _held(reserve)


def _billed(usage: Usage, reserve: Reserve) -> Booking:
    if reserve.quote is None:
        return _held(reserve, usage)
    cost = reserve.quote.cost(usage)
    booked = min(cost, reserve.amount)
    quote = reserve.quote
    is_known = quote.knows_tier(usage.tier) and not (quote.assumed or quote.stale)
    certainty: Certainty = "known" if is_known else "estimated"
    return Booking(booked, cost - booked, certainty, "settled", usage)


def _held(reserve: Reserve, usage: Usage | None = None) -> Booking:
    certainty: Certainty = "unknown" if reserve.quote is None else "estimated"
    return Booking(reserve.amount, Money.ZERO, certainty, "settled", usage)


def _is_possible(usage: Usage, reserve: Reserve) -> bool:
    """Whether a provider can have counted so: within the model's window, else within reason."""
    if not usage.is_possible or usage.total_tokens > MAX_COUNT:
        return False
    quote = reserve.quote
    cost = Money.ZERO if quote is None else quote.cost(usage)
    if cost.nano > MAX_NANO:
        return False
    if quote is not None and quote.context_window is not None:
        return max(usage.input_tokens, usage.output_tokens) <= quote.context_window
    within_tokens = usage.total_tokens <= reserve.tokens * _IMPOSSIBLE_TIMES_BOUND
    return within_tokens and cost <= reserve.amount * _IMPOSSIBLE_TIMES_BOUND
