"""The price list ``genai-prices``: dated, exact, offline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType

import genai_prices
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

from orchestrator.pricing.listing import Listing, tiers
from orchestrator.pricing.names import ModelName

_SOURCE = f"genai-prices {genai_prices.__version__}"

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "input_mtok": "input",
        "output_mtok": "output",
        "cache_read_mtok": "cached_input",
        "cache_write_mtok": "cache_write",
        "cache_write_1h_mtok": "cache_write_hour",
        "input_audio_mtok": "input_audio",
        "input_image_mtok": "input_image",
        "output_audio_mtok": "output_audio",
        "output_image_mtok": "output_image",
        "output_reasoning_mtok": "reasoning",
    }
)
_REQUESTS_PER_FEE = 1000


class GenaiPrices:
    """Looks models up in the list that is bundled with ``genai-prices``."""

    def __init__(self) -> None:
        """Load the list (about 0.2 s)."""
        self._snapshot: DataSnapshot = get_snapshot()

    def provider_at(self, api_base: str) -> str | None:
        """The provider that answers at ``api_base``; ``None`` if the list knows none there."""
        for provider in self._snapshot.providers:
            if re.match(provider.api_pattern, api_base):
                return provider.id
        return None

    def listing(self, name: ModelName, provider: str | None, at: datetime) -> Listing | None:
        """What the list says of a model at a moment; ``None`` if nothing."""
        info = self._find(name, provider)
        if info is None:
            return None
        price, as_of = _active(info, at)
        table: dict[int, dict[str, Decimal]] = {0: {}}
        for key, part in _PARTS.items():
            match getattr(price, key):
                case Decimal() as flat:
                    table[0][part] = flat
                case TieredPrices(base=base, tiers=steps):
                    table[0][part] = base
                    for step in steps:
                        table.setdefault(step.start, {})[part] = step.price
        built = tiers(table, source=_SOURCE, as_of=as_of)
        if built is None:
            return None
        fee = price.requests_kcount
        return Listing(
            tiers=built,
            request_fee=fee / _REQUESTS_PER_FEE if isinstance(fee, Decimal) else Decimal(0),
            context_window=info.context_window,
        )

    def _find(self, name: ModelName, provider: str | None) -> ModelInfo | None:
        # The library also guesses a provider from words inside an id; only exact ids will do.
        known = provider is None or any(p.id == provider for p in self._snapshot.providers)
        if not known:
            return None
        try:
            _, info = self._snapshot.find_provider_model(name.rest, None, provider, None)
        except LookupError:
            return None
        return info


def _active(info: ModelInfo, at: datetime) -> tuple[ModelPrice, date | None]:
    """The price that holds at ``at``, as the library chooses it, and since when."""
    if isinstance(info.prices, ModelPrice):
        return info.prices, None
    for candidate in reversed(info.prices):
        constraint = candidate.constraint
        if constraint is None or constraint.active(at):
            since = constraint.start_date if isinstance(constraint, StartDateConstraint) else None
            return candidate.prices, since
    return info.prices[0].prices, None
