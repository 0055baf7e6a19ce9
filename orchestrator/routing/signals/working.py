"""A reply's own working: the sums it shows, recomputed, and how its result follows from them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import add, mul, sub, truediv

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SIGNED = re.compile(r"(?<![\w.)])-?\$?\d[\d,]*(?:\.\d+)?")
_OPERATOR = re.compile(r"[-+*/]")
# Some models repeat each sum between double angle brackets for a calculator: read it once.
_ANNOTATION = re.compile(r"<<[^<>]*>>")
_SPELLING = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\\": "", "$": "", ",": ""})
_TIMES = re.compile(r"(?<=[\d)%])\s*[xX]\s*(?=[\d(])")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
# A right side that goes on with an operator is a step of the way, not a result.
_SUM = re.compile(
    r"([-+\d.(][-+*/\d.()%\s]*[-+*/][-+*/\d.()%\s]*)="
    r"\s*(-?\d+(?:\.\d+)?)(?![\d.]*\d|\s*[-+*/]\s*[\d(])"
)
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
}
_LONGEST = 200
"""Characters of one sum; what is longer is a table, not a sum."""


@dataclass(frozen=True, slots=True)
class Sum:
    """One sum that the reply shows: its operands, what the reply says it makes, what it makes."""

    operands: tuple[float, ...]
    operations: int
    stated: float
    computed: float | None

    @property
    def wrong(self) -> bool:
        """Whether the stated result differs from the computed one by more than rounding."""
        if self.computed is None:
            return False
        return abs(self.computed - self.stated) > max(0.011, abs(self.stated) * 0.005)


def numbers(text: str) -> list[float]:
    """Every unsigned number written in digits, in order; thousands separators are removed."""
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def last_number(text: str) -> float | None:
    """The last number of the text with its sign, which is where replies put their result."""
    found = _SIGNED.findall(text)
    return float(found[-1].replace(",", "").replace("$", "")) if found else None


def compute(expression: str) -> float | None:
    """The value of an expression of numbers, ``+ - * /`` and parentheses; ``None``: not one."""
    try:
        tree = ast.parse(_PERCENT.sub(r"(\1/100)", expression).strip(), mode="eval")
        return _value(tree.body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
        case _:
            raise ValueError(ast.dump(node))


def sums(reply: str) -> list[Sum]:
    """The sums a reply shows, each once, in order."""
    text = _TIMES.sub("*", _ANNOTATION.sub("", reply).translate(_SPELLING))
    found: dict[tuple[str, str], Sum] = {}
    for expression, stated in _SUM.findall(text):
        key = ("".join(expression.split()), stated)
        if len(expression) <= _LONGEST and key not in found:
            found[key] = Sum(
                tuple(numbers(expression)),
                len(_OPERATOR.findall(expression)),
                float(stated),
                compute(expression),
            )
    return list(found.values())


WORKING = (
    "sums",
    "sums_wrong",
    "any_sum_wrong",
    "sums_unreadable",
    "operations",
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


def working(prompt: str, reply: str) -> tuple[float, ...]:
    """How well a reply's result is supported by its own working, as the numbers of `WORKING`."""
    shown = sums(reply)
    results = [each.stated for each in shown]
    asked, operands = set(numbers(prompt)), {x for each in shown for x in each.operands}
    wrong = sum(each.wrong for each in shown)
    result = last_number(reply.strip().rsplit("\n", 1)[-1])
    known = asked | set(results)
    return (
        min(len(shown), 12) / 4,
        float(min(wrong, 4)),
        float(wrong > 0),
        float(min(sum(each.computed is None for each in shown), 4)),
        min(sum(each.operations for each in shown), 20) / 5,
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
