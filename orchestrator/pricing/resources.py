"""The price of what is used beside models and tools: compute, storage, traffic, people's time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil

from orchestrator.core.money import NANO_PER_USD, Money
from orchestrator.pricing.currency import Rates

MAX_QUANTITY = Decimal(10**15)


@dataclass(frozen=True, slots=True)
class ResourcePrice:
    """What one unit of a resource costs.

    Attributes:
        unit: USD per unit, or the whole flat cost, exactly as written.
        over: Units over which a flat cost is spread; ``None`` where ``unit`` is a price of its own.
        rates: Of the currency that ``unit`` is in, if that is not USD: :meth:`on` makes it USD.
        source: Where the price comes from.
    """

    unit: Decimal
    over: int | None = None
    rates: Rates | None = None
    source: str = "policy"

    def on(self, day: date) -> ResourcePrice:
        """This price in USD, by the rate of a day."""
        if self.rates is None:
            return self
        rate = self.rates.on(day)
        return ResourcePrice(rate.of(self.unit), self.over, source=f"{self.source} ({rate})")

    def cost(self, quantity: Decimal) -> Money:
        """What ``quantity`` units cost, rounded upward once."""
        # In fractions, which no precision of the agent's own decimals rounds.
        return Money(
            ceil(Fraction(self.unit) * Fraction(quantity) * NANO_PER_USD / (self.over or 1))
        )


def read_quantity(quantity: Decimal | float | str) -> Decimal:
    """Read how much was used, exactly as it is written.

    Raises:
        ValueError: If it is no number from 0 to 10**15.
    """
    try:
        number = Decimal(str(quantity))
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and 0 <= number <= MAX_QUANTITY):
        message = f"a quantity is a number from 0 to {MAX_QUANTITY:.0e}, not {quantity!r}"
        raise ValueError(message)
    return number
