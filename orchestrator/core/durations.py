"""Durations as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s|m|h|d)")
_UNIT_SECONDS: Mapping[str, float] = MappingProxyType(
    {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
)


def parse_duration(value: str | float | timedelta) -> float:
    """Read a duration as seconds.

    Args:
        value: Text with a unit (``"90s"``, ``"10m"``, ``"1.5h"``, ``"30d"``, ``"500ms"``), a number
            of seconds, or a ``timedelta``.

    Raises:
        ValueError: If it is no duration above zero.
    """
    seconds = _seconds(value)
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        message = (
            f"{value!r} is no duration; write a number above zero with a unit "
            "(ms, s, m, h, d), for example '90s', '10m' or '1.5h'."
        )
        raise ValueError(message)
    return seconds


def _seconds(value: object) -> float | None:
    match value:
        case timedelta():
            return value.total_seconds()
        case bool():
            return None
        case int() | float():
            return float(value)
        case str():
            found = _DURATION.fullmatch(value.strip())
            return float(found[1]) * _UNIT_SECONDS[found[2]] if found else None
        case _:
            return None
