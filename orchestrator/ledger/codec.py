"""Records as text, for stores that hold columns: halts, maps and lists as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.core.halt import Count, Halt, Probability, Quantity, Seconds
from orchestrator.core.money import Money


def to_json(value: object) -> str:
    """Compact JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def from_json(text: str) -> Any:  # noqa: ANN401 - JSON is anything; each caller knows its column
    """What :func:`to_json` wrote."""
    return orjson.loads(text)


def encode_halt(halt: Halt | None) -> str | None:
    """A halt as JSON; ``None`` stays ``None``."""
    if halt is None:
        return None
    return to_json(
        {
            "reason": halt.reason,
            "scope": halt.scope,
            "limit": _encode_quantity(halt.limit),
            "spent": _encode_quantity(halt.spent),
            "step": halt.step,
            "detail": halt.detail,
            "holder": halt.holder,
        }
    )


def decode_halt(text: str | None) -> Halt | None:
    """What :func:`encode_halt` wrote."""
    if text is None:
        return None
    fields = from_json(text)
    return Halt(
        reason=fields["reason"],
        scope=fields["scope"],
        limit=_decode_quantity(fields["limit"]),
        spent=_decode_quantity(fields["spent"]),
        step=fields["step"],
        detail=fields["detail"],
        holder=fields["holder"],
    )


def _encode_quantity(quantity: Quantity | None) -> Mapping[str, object] | None:
    match quantity:
        case None:
            return None
        case Money(nano):
            return {"nano": nano}
        case Seconds(seconds):
            return {"seconds": seconds}
        case Count(count, unit):
            return {"count": count, "unit": unit}
        case _:
            return {"probability": quantity.value}


def _decode_quantity(fields: Mapping[str, Any] | None) -> Quantity | None:
    match fields:
        case None:
            return None
        case {"nano": nano}:
            return Money(nano)
        case {"seconds": seconds}:
            return Seconds(seconds)
        case {"count": count, "unit": unit}:
            return Count(count, unit)
        case {"probability": value}:
            return Probability(value)
        case _:
            message = f"no quantity that this version knows: {dict(fields)}"
            raise ValueError(message)
