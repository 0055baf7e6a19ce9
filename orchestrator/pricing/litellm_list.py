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

from orchestrator.core.usage import STANDARD
from orchestrator.pricing.listing import Listing, tiers, written_on
from orchestrator.pricing.names import ModelName

_FILE = "model_prices_and_context_window_backup.json"

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "input_cost_per_token": "input",
        "output_cost_per_token": "output",
        "cache_read_input_token_cost": "cached_input",
        "cache_creation_input_token_cost": "cache_write",
        "cache_creation_input_token_cost_above_1hr": "cache_write_hour",
        "output_cost_per_reasoning_token": "reasoning",
        "input_cost_per_audio_token": "input_audio",
        "input_cost_per_image_token": "input_image",
        "output_cost_per_audio_token": "output_audio",
        "output_cost_per_image_token": "output_image",
    }
)
# The map's suffix of a price for a service tier -> the tier.
_SERVICE_TIERS: Mapping[str, str] = MappingProxyType(
    {"batches": "batch", "flex": "flex", "priority": "priority"}
)
# Longest first: ``..._above_1hr`` is a part of its own.
_KEY = re.compile(
    rf"({'|'.join(sorted(_PARTS, key=len, reverse=True))})"
    rf"(?:_above_(\d+)k_tokens)?(?:_({'|'.join(_SERVICE_TIERS)}))?"
)

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
        self._checked = written_on(path)
        self._entries: dict[str, Any] = json.loads(path.read_bytes(), parse_float=Decimal)

    def listing(self, name: ModelName) -> Listing | None:
        """What the map says of a model; ``None`` if nothing."""
        entry = self._find(name)
        if entry is None:
            return None
        tables = _tables(entry)
        built = tiers(tables.pop(STANDARD), source=self._source, checked=self._checked)
        if built is None:
            return None
        service = {
            tier: tiers(table, source=self._source, checked=self._checked)
            for tier, table in tables.items()
        }
        return Listing(
            tiers=built,
            service_tiers={tier: priced for tier, priced in service.items() if priced},
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


def _tables(entry: Mapping[str, Any]) -> dict[str, dict[int, dict[str, Decimal]]]:
    """Prices per million tokens, by service tier and by the input tokens above which they apply."""
    tables: dict[str, dict[int, dict[str, Decimal]]] = {STANDARD: {0: {}}}
    for key, value in entry.items():
        found, price = _KEY.fullmatch(key), _decimal(value)
        if found is None or price is None:
            continue
        part, thousands, suffix = found.groups()
        table = tables.setdefault(_SERVICE_TIERS.get(suffix, STANDARD), {0: {}})
        table.setdefault(int(thousands or 0) * 1000, {})[_PARTS[part]] = price.scaleb(6)
    bands: Sequence[Mapping[str, Any]] = entry.get("tiered_pricing") or ()
    for band in bands:
        start = band.get("range", [None])[0]
        if start is not None:
            tables[STANDARD].setdefault(int(start), {}).update(_parts(band))
    return tables


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
