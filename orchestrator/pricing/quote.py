"""What one call costs, and what it can cost at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal, localcontext

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.pricing.price import Price

_PER_MILLION = -6

# Wide enough that no product of a token count and a price is ever rounded: an agent may have
# lowered the precision of its own context, and rounding happens once, upward, at the end.
_EXACT = Context(prec=100)

# Dearer than 98 of 100 chat models that price lists know: an estimate should rather stop a task
# early than overspend. Anyone who finds it too dear knows the price, and can state it.
ASSUMED_PRICE = Price(input=Decimal(15), output=Decimal(75), source="assumed")

# As large as the windows of all but a handful of models: what an input that cannot be counted may
# fill, where nobody knows the model's own window.
ASSUMED_CONTEXT_WINDOW = 2_000_000

# What a provider's cache charges for tokens that it keeps for an hour rather than for minutes.
_HOUR_CACHE_TIMES_INPUT = 2


@dataclass(frozen=True, slots=True)
class Tier:
    """The price of a whole request that has more than ``above`` input tokens.

    Attributes:
        above: Input tokens, cached ones included; 0 for the tier that always applies.
        price: The price of every token of such a request.
    """

    above: int
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of a model at one moment.

    Attributes:
        tiers: Prices by size of the request, smallest first; the first one is above 0.
        request_fee: USD for each request, whatever its size.
        context_window: Input tokens the model takes at most, if known.
        max_output_tokens: Output tokens the model gives at most, if known.
        disagreement: What the price lists say differently, by more than 1 %; ``None`` if they
            agree, or if fewer than two know the model.
        assumed: Whether no source knows the price, so that costs are estimates.
    """

    tiers: tuple[Tier, ...]
    request_fee: Decimal = Decimal(0)
    context_window: int | None = None
    max_output_tokens: int | None = None
    disagreement: str | None = None
    assumed: bool = False

    @property
    def price(self) -> Price:
        """The price of a short request."""
        return self.tiers[0].price

    @property
    def source(self) -> str:
        """Where the price comes from (``policy``, ``genai-prices 0.2.3``)."""
        return self.price.source

    @property
    def as_of(self) -> date | None:
        """The day from which the price holds, if known."""
        return self.price.as_of

    def with_hour_cache(self) -> Quote:
        """The quote for a request that asks the provider to keep parts of it for an hour.

        Providers charge twice the input for that, and do not say in which tokens written to the
        cache it lies: all of them count so, which is the most they can cost.
        """
        return replace(
            self,
            tiers=tuple(
                Tier(tier.above, replace(tier.price, cache_write=_hour_cache(tier.price)))
                for tier in self.tiers
            ),
        )

    def cost(self, usage: Usage) -> Money:
        """What ``usage`` costs, exact, rounded up once to whole nano-dollars.

        Cached and written tokens are taken out of the input, reasoning tokens out of the output,
        before each is priced.

        Raises:
            ValueError: If the counts cannot be true; book the bound instead.
        """
        if not usage.is_possible:
            message = f"{usage} cannot be true, so it has no cost; book the bound instead."
            raise ValueError(message)
        price = next(t.price for t in reversed(self.tiers) if usage.input_tokens > t.above)
        cached, written = usage.cached_input_tokens, usage.cache_write_tokens
        reasoning = usage.reasoning_tokens
        with localcontext(_EXACT):
            per_million = (
                (usage.input_tokens - cached - written) * price.input
                + cached * _either(price.cached_input, price.input)
                + written * _either(price.cache_write, price.input)
                + (usage.output_tokens - reasoning) * price.output
                + reasoning * _either(price.reasoning, price.output)
            )
            return Money.from_usd_rounded_up(per_million.scaleb(_PER_MILLION) + self.request_fee)

    def bound(self, input_tokens: int, max_output_tokens: int) -> Money:
        """The most a call can cost that has at most so many tokens.

        Every token counts at the dearest price it can have in any tier the request can reach, so
        ``cost(usage) <= bound(i, o)`` for every usage within ``i`` and ``o``.

        Raises:
            ValueError: If a count is negative.
        """
        if input_tokens < 0 or max_output_tokens < 0:
            message = f"Token bounds are 0 or more, not {input_tokens} and {max_output_tokens}."
            raise ValueError(message)
        within_reach = [t.price for t in self.tiers if t.above <= input_tokens]
        with localcontext(_EXACT):
            per_million = input_tokens * max(
                p.dearest_input for p in within_reach
            ) + max_output_tokens * max(p.dearest_output for p in within_reach)
            return Money.from_usd_rounded_up(per_million.scaleb(_PER_MILLION) + self.request_fee)


def assumed_quote() -> Quote:
    """A quote for a model that no source prices, under ``unknown_price: estimate``."""
    return Quote(tiers=(Tier(0, ASSUMED_PRICE),), assumed=True)


def _hour_cache(price: Price) -> Decimal:
    with localcontext(_EXACT):
        return max(_either(price.cache_write, price.input), price.input * _HOUR_CACHE_TIMES_INPUT)


def _either(part: Decimal | None, whole: Decimal) -> Decimal:
    return whole if part is None else part
