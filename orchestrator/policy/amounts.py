"""Reading amounts of money, prices and rates, each exactly as it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from orchestrator.core.money import Money
from orchestrator.policy.values import NUMBER, shown
from orchestrator.pricing.currency import USD, Foreign, Rates

MAX_USD = 1_000_000_000  # its nano-dollars still fit the ledgers' 64-bit integers
LONGEST_UNIT_PRICE = 24
LONGEST_PRICE = 18  # six digits, twelve decimals

MONEY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{3})")
CURRENCY = re.compile(r"[A-Z]{3}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as it is written, whose currency may have a rate or not.

    Attributes:
        number: Units of the currency.
        currency: Its code (``EUR``).
    """

    number: Decimal
    currency: str = USD

    def __str__(self) -> str:
        """``50 EUR``."""
        return f"{self.number:f} {self.currency}"

    def by(self, rates: Mapping[str, Rates]) -> Foreign | None:
        """This amount with its rates; ``None`` if it is in USD."""
        return None if self.currency == USD else Foreign(self.number, rates[self.currency])


NOTHING = Amount(Decimal(0))


def read_money(text: str) -> Amount:
    """``0.25 USD`` or ``0.25 EUR``."""
    match = MONEY.fullmatch(text)
    if match is None:
        bare = NUMBER.fullmatch(text.strip("$ "))
        hint = f"`{bare[0]} USD`" if bare else "an amount and its currency, as in `0.25 USD`"
        message = f"{shown(text)} is no amount of money; write {hint}"
        raise ValueError(message)
    number, currency = match.groups()
    if len(number) > len(str(MAX_USD)) + 10 or Decimal(number) > MAX_USD:
        message = f"{shown(text)} is too much or too fine; write at most {MAX_USD} USD"
        raise ValueError(message)
    amount = Amount(Decimal(number), read_currency(currency))
    if currency == USD:
        Money.from_usd(amount.number)  # refuses what is finer than the ledger
    return amount


def read_positive_money(text: str) -> Amount:
    """``0.25 USD``, more than nothing."""
    amount = read_money(text)
    if not amount.number:
        message = f"{shown(text)} allows no call at all; write an amount above 0"
        raise ValueError(message)
    return amount


def read_usd(text: str) -> Money:
    """``0.25 USD``, more than nothing, where no other currency is read."""
    return Money.from_usd(_in_usd(read_positive_money(text)))


def read_unit_price(text: str) -> Amount:
    """``0.000000004 USD``, as fine as it is written."""
    match = MONEY.fullmatch(text)
    if match is None or len(match[1]) > LONGEST_UNIT_PRICE:
        message = f"{shown(text)} is no price of a unit; write for example `0.00001 USD`"
        raise ValueError(message)
    return Amount(Decimal(match[1]), read_currency(match[2]))


def read_usd_unit_price(text: str) -> Decimal:
    """``0.01 USD``, as fine as it is written, where no other currency is read."""
    return _in_usd(read_unit_price(text))


def read_price(text: str) -> Decimal:
    """USD per million tokens, ``0.10``, exactly as written."""
    if not NUMBER.fullmatch(text) or len(text) > LONGEST_PRICE:
        message = f"{shown(text)} is no price; write USD per million tokens, as in `0.10`"
        raise ValueError(message)
    return Decimal(text)


def read_currency(text: str) -> str:
    """``EUR``."""
    if not CURRENCY.fullmatch(text):
        hint = f"`{text.upper()}`" if CURRENCY.fullmatch(text.upper()) else "`EUR`"
        message = f"{shown(text)} is no currency's code; write {hint}"
        raise ValueError(message)
    return text


def read_foreign(text: str) -> str:
    """``EUR``, and not ``USD``."""
    if read_currency(text) == USD:
        message = "everything is counted in USD, which needs no rate; remove it"
        raise ValueError(message)
    return text


def read_day(text: str) -> date:
    """``2026-07-01``."""
    try:
        # Not every form of ISO 8601: a week or a moment is no day of a rate.
        return date.fromisoformat(text if DAY.fullmatch(text) else "")
    except ValueError:
        message = f"{shown(text)} is no day; write for example `2026-07-01`"
        raise ValueError(message) from None


def read_rates(value: object) -> dict[date, Decimal]:
    """``{2026-01-01: 1.08, 2026-07-01: 1.12}``: USD for one unit, by the day it holds from."""
    if not isinstance(value, dict) or not value:
        message = "is no mapping of days; write USD for one unit, as in `{2026-01-01: 1.08}`"
        raise ValueError(message)
    found: dict[date, Decimal] = {}
    mistakes = []
    for day, rate in value.items():
        try:
            found[read_day(str(day))] = _rate(rate)
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return found


def _in_usd(amount: Amount) -> Decimal:
    if amount.currency != USD:
        hint = f"`{amount.number:f} USD`"
        message = f"{shown(str(amount))} is not in USD, as this has to be; write {hint}"
        raise ValueError(message)
    return amount.number


def _rate(value: object) -> Decimal:
    text = str(value)
    if not NUMBER.fullmatch(text) or len(text) > LONGEST_PRICE or not Decimal(text):
        message = f"{shown(text)} is no rate; write USD for one unit, as in `1.08`"
        raise ValueError(message)
    return Decimal(text)
