"""The price list ``genai-prices``: dated, exact, offline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import genai_prices
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

from orchestrator.pricing.listing import Listing, tiers, written_on
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

# What the list calls a way of being served -> the service tier it is here.
_SERVICE_TIERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("processing", "batch"): "batch",
        ("service_tier", "flex"): "flex",
        ("service_tier", "priority"): "priority",
    }
)


class GenaiPrices:
    """Looks models up in the list that is bundled with ``genai-prices``."""

    def __init__(self) -> None:
        """Load the list (about 0.2 s)."""
        self._snapshot: DataSnapshot = get_snapshot()
        self._checked = written_on(Path(genai_prices.__file__))

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
        table = _table(price)
        built = tiers(table, source=_SOURCE, as_of=as_of, checked=self._checked)
        if built is None:
            return None
        fee = price.requests_kcount
        service = {
            tier: tiers(changed, source=_SOURCE, as_of=as_of, checked=self._checked)
            for tier, changed in _variants(info, table, at)
        }
        return Listing(
            tiers=built,
            service_tiers={tier: priced for tier, priced in service.items() if priced},
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


def _table(price: ModelPrice) -> dict[int, dict[str, Decimal]]:
    """Prices by part, by the input tokens above which they apply."""
    table: dict[int, dict[str, Decimal]] = {0: {}}
    for key, part in _PARTS.items():
        match getattr(price, key):
            case Decimal() as flat:
                table[0][part] = flat
            case TieredPrices(base=base, tiers=steps):
                table[0][part] = base
                for step in steps:
                    table.setdefault(step.start, {})[part] = step.price
    return table


def _variants(
    info: ModelInfo, table: Mapping[int, Mapping[str, Decimal]], at: datetime
) -> Iterator[tuple[str, dict[int, dict[str, Decimal]]]]:
    """The prices of each service tier: those parts that it names, and the rest as ever."""
    for variant in info.price_variants or ():
        # One that asks for more than a tier is a price of something else.
        named, *more = variant.when.items()
        tier = None if more else _SERVICE_TIERS.get(named)
        if tier is None or not (variant.constraint is None or variant.constraint.active(at)):
            continue
        own = _table(variant.prices)
        changed = own[0].keys()
        kept = {
            above: {part: value for part, value in parts.items() if part not in changed}
            for above, parts in table.items()
        }
        yield tier, {above: kept.get(above, {}) | own.get(above, {}) for above in {*kept, *own}}


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
