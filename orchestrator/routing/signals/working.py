"""A reply's own working: whether its sums are right, and how its result follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.routing.checks.sums import find_sums

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SIGNED = re.compile(r"(?<![\w.)])-?\$?\d[\d,]*(?:\.\d+)?")
_MOST = 4_000
"""Characters of a reply that are read, from its end: where its result is."""

WORKING = (
    "sums",
    "sums_wrong",
    "any_sum_wrong",
    "operands",
    "result_missing",
    "result_is_last_sum",
    "result_is_some_sum",
    "result_not_whole",
    "any_not_whole",
    "any_negative",
    "results_unused",
    "numbers_unused",
    "operands_from_nowhere",
)
"""Names of the numbers that `working` returns, in their order."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum as the reply shows it: what goes in, what it says comes out, whether it does."""

    operands: tuple[float, ...]
    stated: float
    wrong: bool


def numbers(text: str) -> list[float]:
    """Every unsigned number written in digits, in order; thousands separators are removed."""
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def last_number(text: str) -> float | None:
    """The last number of the text with its sign, which is where replies put their result."""
    found = _SIGNED.findall(text)
    return float(found[-1].replace(",", "").replace("$", "")) if found else None


def working(prompt: str, reply: str) -> tuple[float, ...]:
    """How well a reply's result is supported by its own working, as the numbers of `WORKING`."""
    reply = reply[-_MOST:]
    shown = _sums(reply)
    results = [each.stated for each in shown]
    asked, operands = set(numbers(prompt)), {x for each in shown for x in each.operands}
    wrong = sum(each.wrong for each in shown)
    result = last_number(reply.strip().rsplit("\n", 1)[-1])
    known = asked | set(results)
    return (
        min(len(shown), 12) / 4,
        float(min(wrong, 4)),
        float(wrong > 0),
        min(sum(len(each.operands) for each in shown), 24) / 6,
        float(result is None),
        float(bool(results) and result == results[-1]),
        float(result in results),
        float(result is not None and result != int(result)),
        float(any(x != int(x) for x in results)),
        float(any(x < 0 for x in results)),
        float(min(sum(x not in operands for x in results[:-1]), 4)),
        len(asked - set(numbers(reply))) / max(1, len(asked)),
        float(min(sum(x not in known for x in operands), 4)) if shown else 0.0,
    )


def _sums(reply: str) -> list[_Sum]:
    """The sums of a reply, each once, in order of their first mention."""
    found: dict[str, _Sum] = {}
    for each in find_sums(reply):
        left, _, right = each.text.rpartition("=")
        stated = last_number(right.replace("- ", "-"))
        if each.text not in found and stated is not None:
            found[each.text] = _Sum(tuple(numbers(left)), stated, not each.agrees)
    return list(found.values())
