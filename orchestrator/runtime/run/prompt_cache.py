"""What providers still hold of a task's prompts, by what they said of its last calls.

Who asks a model again soon pays less for the part of the prompt that its provider kept. Asking
another model loses that, so it belongs into the choice. It is a guess about the next call only:
what is booked is what the provider says it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.quote import Quote

KEPT_S = 300.0
"""How long providers say they keep a prompt at the least; each use begins that time anew."""
KEPT_HOUR_S = 3600.0
"""The same where the request asks for the longer time, and pays for it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a provider holds of the task's last call.

    Attributes:
        until: The moment, on the monotonic clock, until which it does.
        share: The share of that call's cost that the next such call has off; `None`: the provider
            said nothing of it.
    """

    until: float
    share: float | None


@dataclass(slots=True)
class PromptCaches:
    """The last call of each step to each endpoint. Safe across threads: each is replaced whole."""

    _held: dict[tuple[str, str], Held] = field(default_factory=dict)

    def answered(self, step: str, endpoint: str, held: Held) -> None:
        """Note what a call left behind."""
        self._held[step, endpoint] = held

    def held(self, step: str, endpoint: str, now: float) -> Held | None:
        """What is held for a step; `None`: nothing, or not any more."""
        found = self._held.get((step, endpoint))
        return found if found is not None and now <= found.until else None


def saved_by(quote: Quote, usage: Usage) -> Money:
    """What a provider's cache took off a call; below 0 where filling it cost more."""
    return _without(quote, usage) - quote.cost(usage)


def left_behind(quote: Quote, usage: Usage, cost: Money, now: float) -> Held:
    """What a call leaves behind for the next one, which begins as this one did.

    Args:
        quote: Its price.
        usage: What it used.
        cost: What its whole ask cost, with retries and checks.
        now: The moment it ended.
    """
    until = now + (KEPT_HOUR_S if quote.hour_cache else KEPT_S)
    kept = usage.cached_input_tokens + usage.cache_write_tokens
    whole = cost + saved_by(quote, usage)
    if not kept or not whole:
        return Held(until, None)
    again = replace(_uncached(usage), cached_input_tokens=kept)
    return Held(until, (_without(quote, usage) - quote.cost(again)).nano / whole.nano)


def _without(quote: Quote, usage: Usage) -> Money:
    return quote.cost(_uncached(usage))


def _uncached(usage: Usage) -> Usage:
    return replace(usage, cached_input_tokens=0, cache_write_tokens=0, cache_write_hour_tokens=None)
