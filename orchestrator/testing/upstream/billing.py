"""What the upstream bills, in a few lines of its own.

This is the provider's side of a test: it shares no code with the prices that it checks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestrator.core.money import Money

PriceTable = Mapping[str, Mapping[str, str | Decimal | int]]
_NANO_PER_TOKEN = 1000  # of one USD per million tokens
_RATES = ("input", "output", "cached_input")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One request as the provider sees it.

    Attributes:
        number: Counted from 1.
        model: As asked for.
        question: The recorded question's id; ``None`` if none was found or looked for.
        input_tokens: True count, also where the answer reported another.
        output_tokens: The same.
        cached_input_tokens: Inside ``input_tokens``.
        billed_nano: Nano-dollars; ``None`` if the model has no price.
        streamed: Whether a stream was asked for.
        fault: The kind of fault applied, if any.
        status: HTTP status; ``None`` if no answer was begun.
    """

    number: int
    model: str
    question: str | None
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    billed_nano: int | None
    streamed: bool
    fault: str | None
    status: int | None

    def to_json(self) -> dict[str, Any]:
        """The entry as plain data."""
        return asdict(self)


class Tariff:
    """Prices in USD per million tokens, ``{model: {input, output, cached_input}}``."""

    def __init__(self, prices: PriceTable | None = None) -> None:
        """Read the prices exactly.

        Raises:
            ValueError: If a price is no number of at least zero, ``input`` or ``output`` is
                missing, or a rate has another name.
        """
        self._prices = {model: _rates(model, rates) for model, rates in (prices or {}).items()}

    def bill(self, model: str, tokens: tuple[int, int], cached: int) -> Money | None:
        """Price one request, rounded up; ``None`` if ``model`` has no price.

        A model is found by its name or, failing that, by what follows the provider's prefix.
        """
        rates = self._prices.get(model) or next(
            (
                rates
                for name, rates in self._prices.items()
                if name.rpartition("/")[2] == model.rpartition("/")[2]
            ),
            None,
        )
        if rates is None:
            return None
        inputs, outputs = tokens
        exact = (
            (inputs - cached) * rates["input"]
            + cached * rates["cached_input"]
            + outputs * rates["output"]
        )
        return Money(math.ceil(exact * _NANO_PER_TOKEN))


def _rates(model: str, given: Mapping[str, str | Decimal | int]) -> dict[str, Decimal]:
    if not {"input", "output"} <= given.keys() <= set(_RATES):
        message = f"price of {model}: give input and output (and perhaps cached_input), not {given}"
        raise ValueError(message)
    rates: dict[str, Decimal] = {}
    for name, price in given.items():
        try:
            rates[name] = Decimal(price)
        except InvalidOperation as error:
            message = f"price of {model}: {name} is no number: {price!r}"
            raise ValueError(message) from error
        if isinstance(price, float) or not rates[name].is_finite() or rates[name] < 0:
            message = f"price of {model}: {name} must be exact and at least 0, not {price!r}"
            raise ValueError(message)
    return {"cached_input": rates["input"]} | rates
