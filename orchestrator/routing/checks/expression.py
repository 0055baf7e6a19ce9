"""The exact value of an arithmetic expression. No ``eval``, bounded in depth and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from orchestrator.routing.checks.tokens import Token

_MAX_DEPTH = 16
_MAX_TOKENS = 120
_MAX_EXPONENT = 64
_MAX_BITS = 4096

Number = tuple[Fraction, int]
"""A number as shown: its value and its decimals (3.3 and 3.30 may stand for different values)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One of the ways in which people mean what they write.

    Attributes:
        percent: ``20%`` as 0.2, as 20, or in ``100 - 20%`` as a share of what comes before.
        fractions: Whether ``6 / 1/2`` divides by one half.
        carried: Exact values that numbers stand for which were shown rounded before.
    """

    percent: Literal["fraction", "plain", "relative"] = "fraction"
    fractions: bool = False
    carried: Mapping[Number, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """What a run of tokens is worth.

    Attributes:
        exact: Its value.
        end: Index of the first token that does not belong to it.
        operations: How many operators were applied; 0: it is a mere number.
        decimals: The most decimals among its numbers.
    """

    exact: Fraction
    end: int
    operations: int
    decimals: int


class NoExpressionError(ValueError):
    """The tokens are no expression, or one too large to be worth computing."""


def evaluate(
    tokens: Sequence[Token],
    reading: Reading,
    *,
    extent: Literal["sum", "product", "operand"] = "sum",
) -> Value:
    """Value of the longest expression that ``tokens`` begin with.

    Args:
        tokens: Numbers, operators and parentheses.
        reading: How to take what is ambiguous.
        extent: How far to read: everything, up to the first ``+`` or ``-``, or one operand.

    Raises:
        NoExpressionError: If there is none.
    """
    if len(tokens) > _MAX_TOKENS:
        message = f"more than {_MAX_TOKENS} tokens"
        raise NoExpressionError(message)
    parser = _Parser(tokens, reading)
    grammar: dict[str, Callable[[], Fraction]] = {
        "sum": parser.sum,
        "product": parser.product,
        "operand": parser.operand,
    }
    exact = grammar[extent]()
    return Value(exact, parser.at, parser.operations, parser.decimals)


class _Parser:
    """Recursive descent; each method reads one level of precedence."""

    def __init__(self, tokens: Sequence[Token], reading: Reading) -> None:
        self.at = 0
        self.operations = 0
        self.decimals = 0
        self._tokens = tokens
        self._reading = reading
        self._depth = 0

    def sum(self) -> Fraction:
        """Products, added and subtracted."""
        total = self.product()
        while (sign := self._operator("+-")) is not None:
            start = self.at
            term = self.product()
            if self._reading.percent == "relative" and self._is_percentage(start):
                term *= total
            total = total + term if sign == "+" else total - term
        return total

    def product(self) -> Fraction:
        """Operands, multiplied and divided; ``3(4)`` multiplies without a sign."""
        result = self.operand()
        while True:
            if (sign := self._operator("*/")) is not None:
                factor = self.operand()
                result = result * factor if sign == "*" else self._divide(result, factor)
            elif self._is_at("open") and not self._tokens[self.at].is_spaced:
                self.operations += 1
                result *= self.operand()
            else:
                return result

    def operand(self) -> Fraction:
        """A number, a group or a power of one, with its sign."""
        if self._is_at("operator") and self._tokens[self.at].text in "+-":
            sign = -1 if self._tokens[self.at].text == "-" else 1
            self.at += 1
            return sign * self.operand()
        base = self._primary()
        if self._is_at("operator") and self._tokens[self.at].text in "²³":
            exponent = Fraction("²³".index(self._tokens[self.at].text) + 2)
            self.at += 1
            self.operations += 1
        elif self._operator("^") is not None:
            exponent = self._nested(self.operand)
        else:
            return base
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if (
            exponent.denominator != 1
            or abs(exponent) > _MAX_EXPONENT
            or size * abs(exponent) > _MAX_BITS
            or (not base and exponent < 0)
        ):
            message = "a power that cannot be computed exactly"
            raise NoExpressionError(message)
        return base ** int(exponent)

    def _primary(self) -> Fraction:
        if self._is_at("number"):
            value = self._number()
            if self._reading.fractions and is_tight_fraction(self._tokens, self.at - 1):
                self.at += 1
                self.operations += 1
                value = self._divide(value, self._number())
        elif self._is_at("fraction"):
            self.at += 1
            value = self._divide(self._group(), self._group())
            self.operations += 1
        else:
            value = self._group()
        if self._is_at("percent"):
            self.at += 1
            if self._reading.percent != "plain":
                value /= 100
        return value

    def _number(self) -> Fraction:
        token = self._tokens[self.at]
        self.at += 1
        self.decimals = max(self.decimals, token.decimals)
        return self._reading.carried.get((token.value, token.decimals), token.value)

    def _group(self) -> Fraction:
        if not self._is_at("open"):
            message = "no number where one is needed"
            raise NoExpressionError(message)
        self.at += 1
        value = self._nested(self.sum)
        if not self._is_at("close"):
            message = "a parenthesis is not closed"
            raise NoExpressionError(message)
        self.at += 1
        return value

    def _nested(self, read: Callable[[], Fraction]) -> Fraction:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            message = f"nested deeper than {_MAX_DEPTH}"
            raise NoExpressionError(message)
        value = read()
        self._depth -= 1
        return value

    def _operator(self, wanted: str) -> str | None:
        """Step over one of the ``wanted`` operators, if an operand follows it."""
        if not self._is_at("operator") or self._tokens[self.at].text not in wanted:
            return None
        following = self.at + 1
        if following < len(self._tokens) and self._tokens[following].text in {"+", "-"}:
            following += 1
        if following == len(self._tokens) or not starts_operand(self._tokens[following]):
            return None
        self.at += 1
        self.operations += 1
        return self._tokens[self.at - 1].text

    def _is_at(self, kind: str) -> bool:
        return self.at < len(self._tokens) and self._tokens[self.at].kind == kind

    def _is_percentage(self, start: int) -> bool:
        """Whether what was read since ``start`` is one number with a percent sign."""
        return self.at == start + 2 and self._tokens[self.at - 1].kind == "percent"

    @staticmethod
    def _divide(dividend: Fraction, divisor: Fraction) -> Fraction:
        if not divisor:
            message = "a division by zero"
            raise NoExpressionError(message)
        return dividend / divisor


def starts_operand(token: Token) -> bool:
    """Whether an operand can begin with ``token``."""
    return token.kind in {"number", "open", "fraction"}


def is_tight_fraction(tokens: Sequence[Token], at: int) -> bool:
    """Whether the number at ``at`` begins a fraction written without spaces, as in 1/2."""
    match tokens[at : at + 3]:
        case [Token(kind="number"), Token(text="/", is_spaced=False), Token(kind="number") as last]:
            return not last.is_spaced
    return False
