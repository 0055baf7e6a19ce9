"""LiteLLM's bundled price map, read as data: LiteLLM itself is not imported."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator.pricing.listing import Listing, tiers
from orchestrator.pricing.names import ModelName

_FILE = "model_prices_and_context_window_backup.json"

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "input_cost_per_token": "input",
        "output_cost_per_token": "output",
        "cache_read_input_token_cost": "cached_input",
        "cache_creation_input_token_cost": "cache_write",
        "output_cost_per_reasoning_token": "reasoning",
    }
)
_TIER_KEY = re.compile(rf"({'|'.join(_PARTS)})_above_(\d+)k_tokens")

# Entries that the map keeps under a bare name, by the prefix that callers write.
_OWNERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bedrock": ("bedrock", "bedrock_converse"),
        "cohere": ("cohere", "cohere_chat"),
        "vertex_ai_beta": ("vertex_ai",),
    }
)


class LitellmPrices:
    """Looks models up in the map that is bundled with LiteLLM."""

    def __init__(self) -> None:
        """Load the map (about 0.04 s)."""
        self._source = f"litellm {version('litellm')}"
        spec = find_spec("litellm")
        if spec is None or not spec.submodule_search_locations:
            message = "litellm has no directory to read its price map from; install it anew."
            raise FileNotFoundError(message)
        path = Path(spec.submodule_search_locations[0]) / _FILE
        self._entries: dict[str, Any] = json.loads(path.read_bytes(), parse_float=Decimal)

    def listing(self, name: ModelName) -> Listing | None:
        """What the map says of a model; ``None`` if nothing."""
        entry = self._find(name)
        if entry is None:
            return None
        built = tiers(_table(entry), source=self._source)
        if built is None:
            return None
        return Listing(
            tiers=built,
            request_fee=_decimal(entry.get("input_cost_per_request")) or Decimal(0),
            context_window=_count(entry.get("max_input_tokens")),
            max_output_tokens=_count(entry.get("max_output_tokens")),
        )

    def _find(self, name: ModelName) -> Mapping[str, Any] | None:
        bare: Mapping[str, Any] | None = self._entries.get(name.rest)
        if name.prefix is None:
            return bare
        full: Mapping[str, Any] | None = self._entries.get(f"{name.prefix}/{name.rest}")
        if full is not None:
            return full
        if bare is None:
            return None
        owner = str(bare.get("litellm_provider"))
        prefixes = _OWNERS.get(name.prefix, (name.prefix,))
        owned = any(owner == prefix or owner.startswith(f"{prefix}-") for prefix in prefixes)
        return bare if owned else None


def _table(entry: Mapping[str, Any]) -> dict[int, dict[str, Decimal]]:
    """Prices per million tokens by the input tokens above which they apply."""
    table = {0: _parts(entry)}
    for key, value in entry.items():
        found = _TIER_KEY.fullmatch(key)
        price = _decimal(value)
        if found and price is not None:
            table.setdefault(int(found[2]) * 1000, {})[_PARTS[found[1]]] = price.scaleb(6)
    bands: Sequence[Mapping[str, Any]] = entry.get("tiered_pricing") or ()
    for band in bands:
        start = band.get("range", [None])[0]
        if start is not None:
            table.setdefault(int(start), {}).update(_parts(band))
    return table


def _parts(entry: Mapping[str, Any]) -> dict[str, Decimal]:
    prices = {part: _decimal(entry.get(key)) for key, part in _PARTS.items()}
    return {part: price.scaleb(6) for part, price in prices.items() if price is not None}


def _decimal(value: object) -> Decimal | None:
    """A JSON number, exactly; anything else is no price."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value)
    return None


def _count(value: object) -> int | None:
    number = _decimal(value)
    return int(number) if number else None
