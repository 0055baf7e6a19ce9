"""``number``: the number a reply states is the right one."""

from __future__ import annotations

import re
from fractions import Fraction

from orchestrator.bench.scorers.stated import stated_answer

_NUMBER = re.compile(
    r"(?<![\w.])[-−]?\$?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"  # noqa: RUF001 - replies use the minus sign
    r"(?P<decimals>\.[0-9]+)?(?:/(?P<divisor>[0-9]+))?"
)


def score_number(reply: str, answer: str) -> float:
    """1 if the first number of the stated answer equals that of ``answer``, else 0.

    Without a marked answer the last number of the whole reply is taken. Units, currency signs,
    thousands separators and trailing zeros do not matter.
    """
    stated = stated_answer(reply)
    given = _numbers(reply)[-1:] if stated is None else _numbers(stated)[:1]
    return float(bool(given) and given == _numbers(answer)[:1])


def is_number(answer: str) -> bool:
    """Whether ``answer`` is a mere number, with or without a currency sign."""
    return _NUMBER.fullmatch(answer.strip()) is not None


def _numbers(text: str) -> list[Fraction]:
    return [_value(match) for match in _NUMBER.finditer(text)]


def _value(match: re.Match[str]) -> Fraction:
    value = Fraction(match["whole"].replace(",", "") + (match["decimals"] or ""))
    if match["divisor"] and int(match["divisor"]):
        value /= int(match["divisor"])
    return -value if match.group().startswith(("-", "−")) else value  # noqa: RUF001 - see above
