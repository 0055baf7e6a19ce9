"""Finds the sums a text states ("4 boxes * 6 apples = 24 apples") and recomputes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from orchestrator.routing.checks.expression import (
    NoExpressionError,
    Number,
    Reading,
    Value,
    evaluate,
    is_tight_fraction,
)
from orchestrator.routing.checks.sides import Side, left_side, right_side
from orchestrator.routing.checks.tokens import Token, tokenize
from orchestrator.routing.checks.units import may_convert

# Calculator annotations as in "8 * $5 = $<<8*5=40>>40": a sum inside a sum.
_ANNOTATION = re.compile(r"<<([^<>\n]{0,200})>>")

_EQUALS_WORDS = frozenset({"equals", "equal"})
_ROUGHLY_WORDS = frozenset({"about", "approximately", "roughly", "around"})
_ROUGHLY = Fraction(1, 100)
_FLOAT_NOISE = Fraction(1, 10**12)  # "8 / 3 = 2.6666666666666665" comes from a calculator


@dataclass(frozen=True, slots=True)
class StatedSum:
    """One sum with the result the text gives it.

    Attributes:
        text: The sum and its stated result, units left out.
        result: What it really comes to.
        agrees: Whether the text is right, allowing for the digits it shows.
    """

    text: str
    result: Fraction
    agrees: bool


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a right side may state.

    Attributes:
        exact: The number.
        step: The value of its last digit; ``None`` if it is a calculation of its own.
        has_decimals: Whether rounding may hide in it.
        shown: The number as later sums may use it; ``None`` if it is a percentage or calculation.
    """

    exact: Fraction
    step: Fraction | None
    has_decimals: bool
    shown: Number | None


def find_sums(text: str) -> Iterator[StatedSum]:
    """Every sum in ``text`` whose result is stated and whose reading is certain enough.

    What is not understood (variables, times of day, converted units, words that calculate) is
    passed over, not judged.
    """
    carried: dict[Number, Fraction] = {}
    for source in ("\n".join(_ANNOTATION.findall(text)), _ANNOTATION.sub("", text)):
        for parts in _phrases(source):
            yield from _judge_phrase(parts, carried)


def _phrases(text: str) -> Iterator[list[list[Token]]]:
    """The phrases that state a result, each as the parts between its equals signs.

    Every part but the first begins with its relation. A line that begins with an equals sign goes
    on where the one before it stopped.
    """
    parts: list[list[Token]] = [[]]
    is_new_line = False
    for token in tokenize(text):
        if token.kind == "newline":
            is_new_line = True
            continue
        is_relation = token.kind == "relation" or (
            token.kind == "word" and token.text.lower() in _EQUALS_WORDS
        )
        if token.kind == "break" or (is_new_line and not is_relation):
            if len(parts) > 1:
                yield parts
            parts = [[]]
        is_new_line = False
        if is_relation:
            parts.append([token])
        elif len(parts) > 1 and len(parts[-1]) == 1 and token.text.lower() in _ROUGHLY_WORDS:
            parts[-1][0] = Token("relation", "≈")
        elif len(parts) > 1 and len(parts[-1]) == 1 and token.text == "to":
            continue
        elif token.kind != "break":
            parts[-1].append(token)
    if len(parts) > 1:
        yield parts


def _judge_phrase(
    parts: Sequence[list[Token]], carried: dict[Number, Fraction]
) -> Iterator[StatedSum]:
    for index, (first, (relation, *second)) in enumerate(pairwise(parts)):
        left = left_side(first[1:] if index else first)
        right = right_side(second)
        if left is not None and right is not None:
            stated = _judge(left, right, carried, is_rough=relation.text == "≈")
            if stated is not None:
                yield stated


def _judge(
    left: Side, right: Side, carried: dict[Number, Fraction], *, is_rough: bool
) -> StatedSum | None:
    results = list(_results(left, carried))
    claims = list(_claims(right))
    if not results or not claims:
        return None
    text = " ".join(token.text for token in (*left.tokens, Token("relation", "="), *right.tokens))
    for result in results:
        for claim in claims:
            if _agrees(result, claim, is_rough=is_rough):
                if claim.shown is not None and claim.exact != result.exact:
                    carried[claim.shown] = result.exact
                return StatedSum(text, result.exact, agrees=True)
    if may_convert(left.units, right.units) or _is_range(left):
        return None
    return StatedSum(text, results[0].exact, agrees=False)


def _results(left: Side, carried: dict[Number, Fraction]) -> Iterator[Value]:
    """What the left side may come to, the plainest reading first."""
    for reading in _readings(left.tokens, carried):
        try:
            value = evaluate(left.tokens, reading)
        except NoExpressionError:
            continue
        if value.end == len(left.tokens) and value.operations:
            yield value


def _readings(tokens: Sequence[Token], carried: dict[Number, Fraction]) -> Iterator[Reading]:
    yield Reading()
    if any(token.kind == "percent" for token in tokens):
        yield Reading("plain")
        yield Reading("relative")
    if any(is_tight_fraction(tokens, at) for at in range(1, len(tokens))):
        yield Reading(fractions=True)
    if any((token.value, token.decimals) in carried for token in tokens):
        yield Reading(carried=carried)


def _claims(right: Side) -> Iterator[_Claim]:
    """What the right side may claim: its whole, or how it begins.

    In "2 + 3 = 5 + 1 = 6" the claim is 5. A percentage stands for itself or for its hundredth.
    """
    extents: tuple[Literal["sum", "product", "operand"], ...] = ("sum", "product", "operand")
    for extent in extents:
        try:
            value = evaluate(right.tokens, Reading("plain"), extent=extent)
        except NoExpressionError:
            continue
        if value.operations:
            yield _Claim(value.exact, None, value.decimals > 0, None)
            continue
        step = max(Fraction(1, 10**value.decimals), abs(value.exact) * _FLOAT_NOISE)
        is_percent = right.tokens[value.end - 1].kind == "percent"
        shown = (value.exact, value.decimals) if value.decimals and not is_percent else None
        yield _Claim(value.exact, step, value.decimals > 0, shown)
        if is_percent:
            yield _Claim(value.exact / 100, step / 100, has_decimals=True, shown=None)


def _agrees(result: Value, claim: _Claim, *, is_rough: bool) -> bool:
    """Whether the claim is the result, rounded down or up to the digits it shows.

    So a result that needs no more digits than shown must be met exactly. A claim that is itself a
    calculation must be met exactly too, unless rounding may hide in the decimals of either.
    """
    difference = abs(result.exact - claim.exact)
    if not difference:
        return True
    if claim.step is None:
        is_rough = is_rough or result.decimals > 0 or claim.has_decimals
    elif difference < min(claim.step, abs(result.exact)):
        return True
    return is_rough and difference <= abs(result.exact) * _ROUGHLY


def _is_range(left: Side) -> bool:
    """Whether "3-5" may be a range, as in "pages 3-5 = 3 pages"."""
    match left.tokens:
        case [low, dash, high]:
            return dash.text == "-" and not dash.is_spaced and low.value < high.value
    return False
