"""What one price list says of one model, in one shape for both lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestrator.pricing.price import OPTIONAL_PARTS, PARTS, REQUIRED_PARTS, Price
from orchestrator.pricing.quote import Tier

_TOLERANCE = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one price list says of one model.

    Attributes:
        tiers: Prices by size of the request, smallest first.
        service_tiers: The same for ``flex``, ``priority`` and ``batch`` service, where listed.
        request_fee: USD for each request.
        context_window: Input tokens at most, if the list says.
        max_output_tokens: Output tokens at most, if the list says.
    """

    tiers: tuple[Tier, ...]
    service_tiers: Mapping[str, tuple[Tier, ...]] = field(default_factory=dict)
    request_fee: Decimal = Decimal(0)
    context_window: int | None = None
    max_output_tokens: int | None = None

    @property
    def source(self) -> str:
        """The list and its version."""
        return self.tiers[0].price.source

    def price_above(self, input_tokens: int) -> Price:
        """The price of a request with more than so many input tokens."""
        return _price_above(self.tiers, input_tokens)


def tiers(
    table: Mapping[int, Mapping[str, Decimal]],
    *,
    source: str,
    checked: date | None = None,
    as_of: date | None = None,
) -> tuple[Tier, ...] | None:
    """Prices per million tokens, by the input tokens above which they apply, as tiers.

    A part that a higher tier does not name keeps its price from below.

    Returns:
        ``None`` if input or output has no price, or a price of zero: lists write zero where they
        know nothing, and half a price would let the other half run free.
    """
    built = []
    known: dict[str, Any] = {}
    for above in sorted(table):
        known |= {part: value for part, value in table[above].items() if value > 0}
        if "input" not in known or "output" not in known:
            return None
        if known.get("reasoning") == known["output"]:
            # Said twice, not priced apart: it has to follow the output into dearer tiers.
            del known["reasoning"]
        built.append(Tier(above, Price(**known, source=source, as_of=as_of, checked=checked)))
    return tuple(built) if built and built[0].above == 0 else None


def written_on(file: Path) -> date:
    """The day on which a price list was written here: it is that old at least."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).date()


def completed(first: Listing, second: Listing) -> Listing:
    """``first``, with the parts that only ``second`` states.

    Only where both name the same price for plain input and output: else they may speak of
    different offers, and a price put together from two would be nobody's.
    """
    if any(_differ(first.tiers[0].price, second.tiers[0].price, part) for part in REQUIRED_PARTS):
        return first
    return replace(
        first,
        tiers=tuple(
            Tier(tier.above, _completed(tier.price, second.price_above(tier.above)))
            for tier in first.tiers
        ),
        service_tiers={**second.service_tiers, **first.service_tiers},
    )


def _completed(price: Price, other: Price) -> Price:
    more = {
        part: getattr(other, part)
        for part in OPTIONAL_PARTS
        if part != "reasoning" and getattr(price, part) is None
    }
    return replace(price, **more)


def disagreement(first: Listing, second: Listing) -> str | None:
    """What two lists say differently by more than 1 %; ``None`` if nothing.

    A part that only one of them states is no disagreement.
    """
    differences = list(_differences(first, second))
    if not differences:
        return None
    return (
        f"{first.source} and {second.source} differ, in USD per million tokens: "
        f"{'; '.join(differences)}. The first is used; state a price in the policy to decide."
    )


def _differences(first: Listing, second: Listing) -> Iterator[str]:
    both = sorted(first.service_tiers.keys() & second.service_tiers.keys())
    for tier in ("", *both):
        one = first.service_tiers[tier] if tier else first.tiers
        other = second.service_tiers[tier] if tier else second.tiers
        for above in sorted({t.above for t in (*one, *other)}):
            ours, theirs = _price_above(one, above), _price_above(other, above)
            for part in PARTS:
                if _differ(ours, theirs, part):
                    a, b = getattr(ours, part), getattr(theirs, part)
                    place = f" above {above} input tokens" if above else ""
                    said = f"{tier} {part}{place}".lstrip()
                    yield f"{said} {a.normalize():f} and {b.normalize():f}"


def _price_above(tiers: Sequence[Tier], input_tokens: int) -> Price:
    """The price of a request with more than so many input tokens."""
    return next(t.price for t in reversed(tiers) if t.above <= input_tokens)


def _differ(ours: Price, theirs: Price, part: str) -> bool:
    a, b = getattr(ours, part), getattr(theirs, part)
    return a is not None and b is not None and abs(a - b) > _TOLERANCE * min(a, b)
