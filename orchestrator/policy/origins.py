"""The regions and keys of a model in a policy, each as one way to reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.models.settings import Origin
from orchestrator.policy.documents.models import ModelDocument, PriceDocument, RegionDocument
from orchestrator.policy.tree import Path
from orchestrator.pricing.currency import Rates
from orchestrator.pricing.price import OPTIONAL_PARTS, Price


def price_of(price: PriceDocument | None, rates: Mapping[str, Rates]) -> Price | None:
    """The policy's own price; ``None`` if it has none, or lacks a required part."""
    if price is None or price.input is None or price.output is None:
        return None
    more = {part: getattr(price, part) for part in OPTIONAL_PARTS}
    return Price(
        input=price.input,
        output=price.output,
        rates=rates.get(price.currency),
        checked=price.checked,
        **more,
    )


def prices_in(name: str, model: ModelDocument) -> Iterator[tuple[Path, PriceDocument]]:
    """Every price that a model states, with its path."""
    if model.price is not None:
        yield ("models", name, "price"), model.price
    for place, region in model.regions.items():
        if region.price is not None:
            yield ("models", name, "regions", place, "price"), region.price


def origins_of(model: ModelDocument, rates: Mapping[str, Rates]) -> tuple[Origin, ...]:
    """Every region of a model with every key that works there; at least one."""
    return tuple(
        Origin(
            name="/".join(filter(None, (place, key))),
            api_base=region.api_base or model.api_base,
            api_key_env=key,
            region=region.region,
            price=price_of(region.price or model.price, rates),
        )
        for place, region in _regions(model)
        for key in region.api_key_env or model.api_key_env or (None,)
    )


def _regions(model: ModelDocument) -> Iterator[tuple[str | None, RegionDocument]]:
    """The places where a model can be asked; one without a name if the policy names none."""
    if not model.regions and not model.region:
        yield None, RegionDocument()
    for name in model.region:
        yield name, RegionDocument(region=name)
    for name, region in model.regions.items():
        # The name is the provider's, unless something else says where that is.
        elsewhere = region.region is not None or region.api_base is not None
        yield name, region if elsewhere else region.model_copy(update={"region": name})
