"""Amounts in other currencies than USD, by dated rates.

The ledger counts in USD alone. What a policy states in another currency is worth what the rate of
one day says: a price by the day it is used, a budget by the day its window began. So neither what
was spent nor what a running window may spend ever changes because a rate does.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from orchestrator.core.money import EXACT, Money

USD = "USD"


def day_of(moment: datetime) -> date:
    """The day in UTC whose rate holds for what happens at ``moment``, which is aware."""
    return moment.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth from a day on.

    Attributes:
        currency: The currency (``EUR``).
        usd: USD for one unit of it.
        since: The day from which it holds.
    """

    currency: str
    usd: Decimal
    since: date

    def __str__(self) -> str:
        """``1 EUR = 1.08 USD of 2026-01-01``."""
        return f"1 {self.currency} = {self.usd.normalize():f} USD of {self.since}"

    def of(self, number: Decimal) -> Decimal:
        """So many units of the currency in USD, exactly."""
        return EXACT.multiply(number, self.usd)

    def shows(self, money: Money) -> str:
        """What an amount is worth in the currency, for people: ``1.25 EUR``.

        To the nearest billionth: what is divided by a rate seldom ends.
        """
        units = EXACT.divide(money.usd, self.usd)
        whole, _, decimals = f"{units:.9f}".partition(".")
        return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} {self.currency}"


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one currency, each from its day on until the next one's.

    Attributes:
        dated: Earliest first; at least one.
    """

    dated: tuple[Rate, ...]

    @classmethod
    def of(cls, currency: str, usd: dict[date, Decimal]) -> Rates:
        """The rates of ``currency`` by the days from which they hold."""
        return cls(tuple(Rate(currency, usd[day], day) for day in sorted(usd)))

    def on(self, day: date) -> Rate:
        """The rate that holds on a day: the last one that began by then.

        The first one holds for the days before it too, so that every day has a rate.
        """
        began = bisect_right(self.dated, day, key=lambda rate: rate.since)
        return self.dated[max(began - 1, 0)]


@dataclass(frozen=True, slots=True)
class Foreign:
    """An amount in another currency.

    Attributes:
        number: In units of the currency, exactly as written.
        rates: What these are worth.
    """

    number: Decimal
    rates: Rates

    def __bool__(self) -> bool:
        """Whether it differs from zero."""
        return bool(self.number)

    def on(self, day: date) -> Decimal:
        """What it is worth on a day, in USD, exactly."""
        return self.rates.on(day).of(self.number)
