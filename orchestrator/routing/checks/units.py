"""Units that people convert between without saying so ("2 * 60 minutes = 2 hours")."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

_DIMENSIONS: Mapping[str, str] = {
    "time": "second sec minute min hour hr day week month year decade century",
    "length": "inch foot feet yard mile mm cm meter metre km kilometer kilometre",
    "mass": "ounce oz pound lb gram kg kilogram ton tonne mg",
    "volume": "ml milliliter liter litre cup pint quart gallon tablespoon teaspoon tbsp tsp",
    "money": "$ dollar ¢ cent penny pence nickel dime quarter € euro £ pound",
    "count": "dozen pair hundred thousand million billion trillion",
    "data": "byte kb mb gb tb kilobyte megabyte gigabyte terabyte",
}
_DIMENSION_OF: Mapping[str, str] = {
    unit: dimension for dimension, units in _DIMENSIONS.items() for unit in units.split()
}
_SAME: Mapping[str, str] = {
    "$": "dollar",
    "¢": "cent",
    "feet": "foot",
    "inche": "inch",
    "pennie": "penny",
    "centurie": "century",
    "min": "minute",
    "hr": "hour",
    "sec": "second",
}


def unit(word: str) -> str:
    """The unit a word names, in one spelling for singular and plural."""
    lower = word.lower()
    stem = lower[:-1] if lower.endswith("s") and lower not in _DIMENSION_OF else lower
    return _SAME.get(stem, stem)


def is_convertible(word: str) -> bool:
    """Whether quantities are given in several such units together ("1 hour 30 minutes")."""
    return _DIMENSION_OF.get(unit(word), "count") != "count"


def may_convert(left: AbstractSet[str], right: AbstractSet[str]) -> bool:
    """Whether the numbers of a sum may stand for different units of the same kind.

    So if its left side mixes them (hours and minutes), if the result's unit is missing there while
    another of its kind is not, or if only one side counts in dozens or millions.
    """
    kinds = [_DIMENSION_OF[name] for name in left if name in _DIMENSION_OF]
    if len(kinds) > len(set(kinds)):
        return True
    if any(_DIMENSION_OF.get(name) == "count" for name in left ^ right):
        return True
    return any(_DIMENSION_OF.get(name) in kinds for name in right - left)
