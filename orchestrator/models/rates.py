"""How much a provider lets through: as a policy says it, and as its answers do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

_UNITS: Mapping[str, float] = MappingProxyType(
    {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once at most, and as many again in each period.

    Attributes:
        amount: Requests or tokens.
        period_s: The period in seconds.
    """

    amount: int
    period_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RateSettings:
    """``rate:`` of a model or a provider; ``None``: no limit is known.

    Attributes:
        requests: How many requests.
        tokens: How many tokens, input and output together.
    """

    requests: Rate | None = None
    tokens: Rate | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a provider says is left of one of its limits.

    Attributes:
        limit: The limit.
        remaining: What is left of it.
        reset_s: Seconds until all of it is there again.
    """

    limit: float
    remaining: float
    reset_s: float


@dataclass(frozen=True, slots=True)
class RateReport:
    """What an answer says about its provider's limits; ``None``: nothing."""

    requests: Allowance | None = None
    tokens: Allowance | None = None


def rate_report(headers: Mapping[str, str], now: datetime) -> RateReport | None:
    """Read ``x-ratelimit-*`` (OpenAI and many others) or ``anthropic-ratelimit-*`` headers.

    Args:
        headers: The answer's headers; names in lower case, or a mapping that ignores case.
        now: When it came, aware; some providers name the moment of the reset.

    Returns:
        What they say; ``None`` if they say nothing that can be read.
    """
    report = RateReport(
        _openai(headers, "requests") or _anthropic(headers, "requests", now),
        _openai(headers, "tokens") or _anthropic(headers, "tokens", now),
    )
    return report if report.requests or report.tokens else None


def _openai(headers: Mapping[str, str], kind: str) -> Allowance | None:
    values = [headers.get(f"x-ratelimit-{part}-{kind}") for part in ("limit", "remaining", "reset")]
    return _allowance(values[0], values[1], _seconds(values[2]))


def _anthropic(headers: Mapping[str, str], kind: str, now: datetime) -> Allowance | None:
    prefix = f"anthropic-ratelimit-{kind}"
    try:
        moment = datetime.fromisoformat(headers.get(f"{prefix}-reset", ""))
        reset_s = max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):  # no moment, or one without a time zone
        return None
    return _allowance(headers.get(f"{prefix}-limit"), headers.get(f"{prefix}-remaining"), reset_s)


def _allowance(limit: str | None, remaining: str | None, reset_s: float | None) -> Allowance | None:
    if not (limit and remaining and _NUMBER.fullmatch(limit) and _NUMBER.fullmatch(remaining)):
        return None
    return None if reset_s is None else Allowance(float(limit), float(remaining), reset_s)


def _seconds(text: str | None) -> float | None:
    """``6m0s``, ``120ms`` or a plain number of seconds."""
    if text is None:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    if _SPAN.sub("", text) or not text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(text))
