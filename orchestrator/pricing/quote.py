"""What one call costs, and what it can cost at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext

from orchestrator.core.money import EXACT, Money
from orchestrator.core.usage import STANDARD, Usage
from orchestrator.pricing.price import OWN, Price

_PER_MILLION = -6

# Dearer than 98 of 100 chat models that price lists know: an estimate should rather stop a task
# early than overspend. Anyone who finds it too dear knows the price, and can state it.
ASSUMED_PRICE = Price(input=Decimal(15), output=Decimal(75), source="assumed")

# As large as the windows of all but a handful of models: what an input that cannot be counted may
# fill, where nobody knows the model's own window.
ASSUMED_CONTEXT_WINDOW = 2_000_000


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
        service_tiers: The same for ``flex``, ``priority`` and ``batch`` service, where known.
        request_fee: USD for each request, whatever its size.
        context_window: Input tokens the model takes at most, if known.
        max_output_tokens: Output tokens the model gives at most, if known.
        disagreement: What the price lists say differently, by more than 1 %; ``None`` if they
            agree, or if fewer than two know the model.
        assumed: Whether no source knows the price, so that costs are estimates.
        stale: Whether the price is so old that costs are estimates.
        asked_tier: The service tier that the request asks for.
        hour_cache: Whether the request asks the provider to keep parts of it for an hour.
        media: Whether the request holds more than text.
    """

    tiers: tuple[Tier, ...]
    service_tiers: Mapping[str, tuple[Tier, ...]] = field(default_factory=dict)
    request_fee: Decimal = Decimal(0)
    context_window: int | None = None
    max_output_tokens: int | None = None
    disagreement: str | None = None
    assumed: bool = False
    stale: bool = False
    asked_tier: str = STANDARD
    hour_cache: bool = False
    media: bool = False

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

    def knows_tier(self, tier: str) -> bool:
        """Whether there is a price for what is served in a service tier.

        A price in the policy is that of whatever the policy's own provider serves.
        """
        return tier == STANDARD or tier in self.service_tiers or self.source.startswith(OWN)

    def cost(self, usage: Usage) -> Money:
        """What ``usage`` costs, exact, rounded up once to whole nano-dollars.

        Every part is taken out of the whole it lies in before it is priced; where parts overlap so
        far that they exceed the whole, the dearest count. A service tier without a price of its
        own is priced as the standard one: see :meth:`knows_tier`.

        Raises:
            ValueError: If the counts cannot be true; book the bound instead.
        """
        if not usage.is_possible:
            message = f"{usage} cannot be true, so it has no cost; book the bound instead."
            raise ValueError(message)
        tiers = self.service_tiers.get(usage.tier, self.tiers)
        price = next(t.price for t in reversed(tiers) if usage.input_tokens > t.above)
        with localcontext(EXACT):
            per_million = sum(
                (count * price.of(part) for part, count in self._parts(usage, price)), Decimal(0)
            )
            return Money.from_usd_rounded_up(per_million.scaleb(_PER_MILLION) + self.request_fee)

    def _parts(self, usage: Usage, price: Price) -> Iterator[tuple[str, int]]:
        written, hour = usage.cache_write_tokens, usage.cache_write_hour_tokens
        if hour is None:
            # The most they can cost, where the provider does not tell them apart.
            hour = written if self.hour_cache else 0
        of_input = {
            "cached_input": usage.cached_input_tokens,
            "cache_write": written - hour,
            "cache_write_hour": hour,
            "input_audio": usage.input_audio_tokens,
            "input_image": usage.input_image_tokens,
        }
        left = usage.input_tokens
        for part in sorted(of_input, key=price.of, reverse=True):
            yield part, min(of_input[part], left)
            left -= min(of_input[part], left)
        yield "input", left
        of_output = usage.reasoning_tokens, usage.output_audio_tokens, usage.output_image_tokens
        yield from zip(("reasoning", "output_audio", "output_image"), of_output, strict=True)
        yield "output", usage.output_tokens - sum(of_output)

    def bound(self, input_tokens: int, max_output_tokens: int) -> Money:
        """The most a call can cost that has at most so many tokens.

        Every token counts at the dearest price it can have in any tier the request can reach, so
        ``cost(usage) <= bound(i, o)`` for every usage within ``i`` and ``o`` that holds no more
        kinds of tokens than was said of the request.

        Raises:
            ValueError: If a count is negative.
        """
        if input_tokens < 0 or max_output_tokens < 0:
            message = f"Token bounds are 0 or more, not {input_tokens} and {max_output_tokens}."
            raise ValueError(message)
        # What is asked for may not be there: then the standard tier serves it.
        asked = (*self.tiers, *self.service_tiers.get(self.asked_tier, ()))
        within_reach = [t.price for t in asked if t.above <= input_tokens]
        with localcontext(EXACT):
            per_million = input_tokens * max(
                p.dearest_input(hour_cache=self.hour_cache, media=self.media) for p in within_reach
            ) + max_output_tokens * max(p.dearest_output for p in within_reach)
            return Money.from_usd_rounded_up(per_million.scaleb(_PER_MILLION) + self.request_fee)


def assumed_quote() -> Quote:
    """A quote for a model that no source prices, under ``unknown_price: estimate``."""
    return Quote(tiers=(Tier(0, ASSUMED_PRICE),), assumed=True)
