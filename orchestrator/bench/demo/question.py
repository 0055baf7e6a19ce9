"""A question together with ways of working it out, right and wrong."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

_OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class Working:
    """Writes a calculation down while doing it, and may slip once.

    What follows a slip is computed from its wrong result, as people and models do.
    """

    def __init__(self, *, slip_at: int | None = None, slip: int = 0) -> None:
        """Start with an empty page.

        Args:
            slip_at: Which sum goes wrong, counted from 0; ``None``: none.
            slip: By how much.
        """
        self.lines: list[str] = []
        self.sums = 0
        self._slip_at = slip_at
        self._slip = slip

    def sum(self, what: str, left: Fraction | int, sign: str, right: Fraction | int) -> Fraction:
        """Compute ``left sign right`` and write it down as a line about ``what``."""
        result = _OPERATIONS[sign](Fraction(left), Fraction(right))
        if self.sums == self._slip_at:
            result = result + self._slip if result + self._slip > 0 else result + abs(self._slip)
        self.sums += 1
        self.lines.append(f"{what}: {show(left)} {sign} {show(right)} = {show(result)}")
        return result

    def note(self, text: str) -> None:
        """Write down a line without a sum."""
        self.lines.append(text)


Solver = Callable[[Working], str]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a template makes of some draws.

    Attributes:
        text: The question, on one line.
        plan: How to work it out, step by step, without any result.
        right: Works it out.
        wrong: Works out something else that looks as if it were asked for, without any slip.
    """

    text: str
    plan: tuple[str, ...]
    right: Solver
    wrong: Solver


@dataclass(frozen=True, slots=True)
class Question:
    """A draft with its place in the suite.

    Attributes:
        id: Its name.
        group: Its kind.
        difficulty: On the scale of the simulated models' ability.
        draft: The question itself.
    """

    id: str
    group: str
    difficulty: float
    draft: Draft

    @property
    def answer(self) -> str:
        """The right answer."""
        return self.draft.right(Working())


def show(value: Fraction | int) -> str:
    """A number as people write it: whole, or with up to two decimals."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    hundredths = round(exact * 100)
    sign, hundredths = ("-", -hundredths) if hundredths < 0 else ("", hundredths)
    return f"{sign}{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
