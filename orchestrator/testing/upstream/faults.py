"""Misbehaviour on demand: which requests, and what happens to them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

FaultKind = Literal[
    "rate_limit",
    "reject",
    "server_error",
    "gateway_error",
    "hang",
    "close",
    "reset",
    "cut",
    "unreadable",
    "error_event",
    "slow",
    "no_usage",
    "zero_usage",
    "negative_usage",
    "absurd_usage",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
_STATUS: Mapping[str, int] = {
    "rate_limit": 429,
    "reject": 400,
    "server_error": 500,
    "gateway_error": 502,
}
_NOT_BILLED = (*_STATUS, "hang", "close", "reset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. Without ``times``, ``every`` and ``rate`` it holds for every request.

    | kind | what happens | billed unless said |
    |---|---|---|
    | ``rate_limit`` | 429 with ``Retry-After`` and an error in JSON | no |
    | ``reject`` | 400 (or ``status``) with an error in JSON | no |
    | ``server_error`` | 500 (or ``status``) with an error in JSON | no |
    | ``gateway_error`` | 502 (or ``status``) with a page, not JSON | no |
    | ``hang`` | no answer while the client waits | no |
    | ``close`` | the connection is closed before any byte of an answer | no |
    | ``reset`` | the same by TCP reset | no |
    | ``cut`` | the connection ends ``delay_s`` after ``after`` pieces, or inside a body | yes |
    | ``unreadable`` | no JSON: all of a body, or piece ``after`` of a stream | yes |
    | ``error_event`` | a 200 with an error for a body, or for piece ``after`` and the rest | yes |
    | ``slow`` | ``delay_s`` before a body or before each piece of a stream | yes |
    | ``no_usage``, ``zero_usage``, ``negative_usage``, ``absurd_usage`` | as named | yes |

    Attributes:
        kind: What happens.
        times: Apply to so many requests, then never again.
        every: Apply to every so-manieth request.
        rate: Apply to this share of requests, drawn with ``seed``.
        seed: Makes ``rate`` repeatable.
        model: Only requests for this model (with or without a provider's prefix).
        status: HTTP status, for kinds that have one.
        retry_after: Text of the ``Retry-After`` header: seconds or an HTTP date; ``None``: none.
        after: Pieces of a stream that still arrive.
        delay_s: Seconds.
        billed: Whether the provider bills it; ``None``: as in the table.
    """

    kind: FaultKind
    times: int | None = None
    every: int = 1
    rate: float = 1.0
    seed: int = 0
    model: str | None = None
    status: int | None = None
    retry_after: str | None = "1"
    after: int = 1
    delay_s: float = 0.05
    billed: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: If a value is out of range.
        """
        problems = [
            f"kind must be one of {', '.join(FAULT_KINDS)}" if self.kind not in FAULT_KINDS else "",
            "times must be at least 1" if self.times is not None and self.times < 1 else "",
            "every must be at least 1" if self.every < 1 else "",
            "rate must lie between 0 and 1" if not 0 <= self.rate <= 1 else "",
            "after must be at least 0" if self.after < 0 else "",
            "delay_s must be at least 0" if not self.delay_s >= 0 else "",
            f"status does not go with {self.kind}" if self.status and not self._has_status else "",
        ]
        if any(problems):
            raise ValueError("fault: " + "; ".join(filter(None, problems)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``kind`` or ``kind:name=value,name=value`` (``rate_limit:times=3,retry_after=2``).

        Raises:
            ValueError: If it is no fault; the message says what to write.
        """
        kind, _, rest = text.partition(":")
        given = dict(part.partition("=")[::2] for part in rest.split(",") if part)
        return cls.from_mapping({"kind": kind.strip()} | {k.strip(): v for k, v in given.items()})

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Read a fault from names and values; values may be text.

        Raises:
            ValueError: If it is no fault; the message says what to write.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(given) - set(names))
        if unknown or "kind" not in given:
            what = f"unknown {', '.join(unknown)}" if unknown else "kind is missing"
            message = f"fault: {what}; write {', '.join(names)}"
            raise ValueError(message)
        return cls(**{name: _read(name, value) for name, value in given.items()})

    @property
    def _has_status(self) -> bool:
        return self.kind in _STATUS

    @property
    def http_status(self) -> int | None:
        """The status answered; ``None`` if no answer is begun."""
        if self._has_status:
            return self.status or _STATUS[self.kind]
        return None if self.kind in _NOT_BILLED else 200

    @property
    def is_billed(self) -> bool:
        """Whether the provider bills the request."""
        return self.kind not in _NOT_BILLED if self.billed is None else self.billed


class FaultRule:
    """A fault and how often it has struck."""

    def __init__(self, fault: Fault) -> None:
        """Begin to count."""
        self.fault = fault
        self._seen = 0
        self._struck = 0
        self._rng = random.Random(fault.seed)  # noqa: S311 - a repeatable draw, nothing secret

    def strikes(self, model: str) -> bool:
        """Whether the next request, for ``model``, is hit."""
        fault = self.fault
        if fault.model is not None and fault.model.rpartition("/")[2] != model.rpartition("/")[2]:
            return False
        self._seen += 1
        drawn = self._rng.random() < fault.rate  # drawn each time, so that the rest stays the same
        if fault.times is not None and self._struck >= fault.times:
            return False
        if self._seen % fault.every or not drawn:
            return False
        self._struck += 1
        return True


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON or text
    readers: dict[str, Any] = {
        "times": int, "every": int, "seed": int, "status": int, "after": int,
        "rate": float, "delay_s": float, "billed": _read_bool, "retry_after": _read_text,
    }  # fmt: skip
    if value is None:
        return None
    try:
        return readers.get(name, str)(value)
    except (TypeError, ValueError) as error:
        message = f"fault: {name} cannot be {value!r}"
        raise ValueError(message) from error


def _read_bool(value: object) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    read = words.get(str(value).lower())
    if read is None:
        raise ValueError
    return read


def _read_text(value: object) -> str | None:
    return None if value in ("", "none") else str(value)
