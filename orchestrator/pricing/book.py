"""The price book: the policy's word first, then two price lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import localcontext
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.money import EXACT
from orchestrator.pricing.currency import day_of
from orchestrator.pricing.listing import Listing, completed, disagreement
from orchestrator.pricing.names import ModelName
from orchestrator.pricing.price import Price
from orchestrator.pricing.quote import Quote, Tier

if TYPE_CHECKING:
    from orchestrator.pricing.genai_list import GenaiPrices
    from orchestrator.pricing.litellm_list import LitellmPrices

_SECONDS_PER_MINUTE = 60


class PriceBook:
    """Prices of models by name, at a moment.

    The lists are read from installed packages, once, when first needed; nothing is fetched. Safe
    across threads: the worst that can happen is that one list is read twice.
    """

    def __init__(self) -> None:
        """Make a book; nothing is read yet."""
        # One entry per model: lists change prices on whole minutes, so a quote holds for one.
        self._recent: dict[tuple[str, str | None], tuple[int, Quote | None]] = {}

    def quote(
        self, model: str, *, override: Price | None, at: datetime, api_base: str | None = None
    ) -> Quote | None:
        """The price of ``model`` at ``at``.

        The policy's ``override`` wins; then ``genai-prices``; then LiteLLM's map. An address that
        belongs to another provider than the name's prefix decides whose price it is; any other
        address (a gateway, a server of one's own) leaves that to the name.

        Args:
            model: The name as LiteLLM takes it (``openai/gpt-5-nano``).
            override: The policy's own price.
            at: When, aware; list prices are dated.
            api_base: The address the model is asked at, if not the provider's own.

        Returns:
            ``None`` if no source knows the price, which is unknown and never zero: a listed price
            of zero is unknown too. Only the policy can say that a model is free.

        Raises:
            ValueError: If ``at`` has no time zone.
        """
        if at.tzinfo is None:
            message = f"{at!r} has no time zone; pass an aware datetime such as datetime.now(UTC)."
            raise ValueError(message)
        if override is not None:
            return Quote(tiers=(Tier(0, override.on(day_of(at))),))
        key = (model, api_base)
        minute = int(at.timestamp()) // _SECONDS_PER_MINUTE
        recent = self._recent.get(key)
        if recent is None or recent[0] != minute:
            recent = (minute, self._listed(model, api_base, at))
            self._recent[key] = recent
        return recent[1]

    def listings(
        self, model: str, *, at: datetime, api_base: str | None = None
    ) -> tuple[Listing | None, Listing | None]:
        """What ``genai-prices`` and LiteLLM's map say of ``model``, each by itself."""
        name = ModelName.parse(model)
        named = name.genai_provider
        provider = (api_base and self._genai.provider_at(api_base)) or named
        names = (name,) if provider is None or provider == named else name.at_provider(provider)
        with localcontext(EXACT):
            first = self._genai.listing(name, provider, at)
            return first, next(filter(None, map(self._litellm.listing, names)), None)

    def _listed(self, model: str, api_base: str | None, at: datetime) -> Quote | None:
        first, second = self.listings(model, at=at, api_base=api_base)
        found = [listing for listing in (first, second) if listing is not None]
        if not found:
            return None
        if first and second:
            quote = _quote(completed(first, second), found)
            return replace(quote, disagreement=disagreement(first, second))
        return _quote(found[0], found)

    @cached_property
    def _genai(self) -> GenaiPrices:
        from orchestrator.pricing.genai_list import GenaiPrices  # noqa: PLC0415 - slow to load

        return GenaiPrices()

    @cached_property
    def _litellm(self) -> LitellmPrices:
        from orchestrator.pricing.litellm_list import LitellmPrices  # noqa: PLC0415 - as above

        return LitellmPrices()


def _quote(chosen: Listing, found: list[Listing]) -> Quote:
    """The chosen list's price, with the larger of the sizes that the lists know."""
    window = max((x.context_window for x in found if x.context_window), default=None)
    if window is not None and chosen.tiers[-1].above >= window:
        # A price for requests beyond the window: the window is that of an older offer.
        window = None
    return Quote(
        tiers=chosen.tiers,
        service_tiers=chosen.service_tiers,
        request_fee=chosen.request_fee,
        context_window=window,
        max_output_tokens=max(
            (x.max_output_tokens for x in found if x.max_output_tokens), default=None
        ),
    )
