"""Money as an integer count of nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import ClassVar, Self

NANO_PER_USD = 1_000_000_000

EXACT = Context(prec=100)
"""For decimals that are computed with: no product of a count, a price and a rate is ever rounded,
also where an agent has lowered the precision of its own context."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An exact amount of US dollars.

    Attributes:
        nano: The amount in nano-dollars (1 USD = 1,000,000,000). May be negative in a difference,
            never in a booking.
    """

    nano: int

    ZERO: ClassVar[Money]

    def __post_init__(self) -> None:
        """Refuse anything but an integer, so that a ``float`` can never become money."""
        if type(self.nano) is not int:
            message = (
                f"Money holds whole nano-dollars, not {self.nano!r}; use Money.from_usd('0.25')"
            )
            raise TypeError(message)

    @classmethod
    def from_usd(cls, amount: str | Decimal | int) -> Self:
        """Read an amount in USD exactly.

        Raises:
            TypeError: If ``amount`` is a ``float``.
            ValueError: If it is no finite number, or finer than one nano-dollar.
        """
        if isinstance(amount, (float, bool)):
            message = f"Money is never a float; write Money.from_usd('{amount}')."
            raise TypeError(message)
        try:
            value = Decimal(amount)
        except InvalidOperation as error:
            message = f"{amount!r} is no amount in USD; write for example '0.25'."
            raise ValueError(message) from error
        if not value.is_finite():
            message = f"{amount!r} is no finite amount in USD."
            raise ValueError(message)
        nano, rest = _nano(value)
        if rest:
            message = f"{amount} USD is finer than one nano-dollar (9 decimals)."
            raise ValueError(message)
        return cls(nano)

    @classmethod
    def from_usd_rounded_up(cls, amount: Decimal) -> Self:
        """Round a computed amount in USD upward to whole nano-dollars, as what is paid is."""
        nano, rest = _nano(amount)
        return cls(nano + bool(rest))

    @classmethod
    def from_usd_rounded_down(cls, amount: Decimal) -> Self:
        """Round a computed amount in USD down to whole nano-dollars, as what may be spent is."""
        return cls(_nano(amount)[0])

    @property
    def usd(self) -> Decimal:
        """The amount in USD, exactly."""
        return Decimal(f"{self.nano}E-9")

    def to_json(self) -> str:
        """The amount in USD with all nine decimals, as text: JSON numbers lose digits."""
        return f"{self.usd:.9f}"

    def __add__(self, other: Money) -> Money:
        """Add two amounts."""
        return Money(self.nano + other.nano)

    def __sub__(self, other: Money) -> Money:
        """Subtract an amount; the difference may be negative."""
        return Money(self.nano - other.nano)

    def __mul__(self, count: int) -> Money:
        """Multiply by a whole number."""
        return Money(self.nano * count)

    def __bool__(self) -> bool:
        """Whether the amount differs from zero."""
        return self.nano != 0

    def __str__(self) -> str:
        """``$1.25``; at least two decimals, no more than needed."""
        whole, _, decimals = f"{self.usd.copy_abs():.9f}".partition(".")
        sign = "-" if self.nano < 0 else ""
        return f"{sign}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


Money.ZERO = Money(0)


def _nano(usd: Decimal) -> tuple[int, int]:
    """Whole nano-dollars in an amount, and what is left of it.

    In integers: an agent may have lowered the precision of its decimals, which every operation on
    them in its threads then rounds to.
    """
    numerator, denominator = usd.as_integer_ratio()
    return divmod(numerator * NANO_PER_USD, denominator)
