"""The price of what is used beside models and tools: compute, storage, traffic, people's time."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil

from orchestrator.core.money import NANO_PER_USD, Money

MAX_QUANTITY = Decimal(10**15)


@dataclass(frozen=True, slots=True)
class ResourcePrice:
    """What one unit of a resource costs.

    Attributes:
        unit: USD per unit, exactly as written.
        over: Units over which a flat cost is spread; ``None`` where ``unit`` is a price of its own.
    """

    unit: Decimal
    over: int | None = None

    @classmethod
    def spread(cls, flat: Money, over: int) -> ResourcePrice:
        """A flat cost, as that of reserved capacity, spread evenly over so many units."""
        return cls(flat.usd, over)

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
