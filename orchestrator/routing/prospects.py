"""How likely the steps to come succeed, by the money that is left for them.

A plan succeeds if all of its steps do. With `V` the chance of the steps after the next one, that of
the next and all after it, with money `m`, is the mean over what the next may look like of
``max over choices of p * E[V(m - cost)]``: a dynamic programme over steps and money, solved from
the last step backwards (Bellman 1957). One price of money for all steps, the dual of a linear
programme, solves the same for expected costs; with few steps and models of very different prices
the gap between the two is wide. A choice that leaves too little for the cheapest finish is none,
in the steps to come as now.

Money is counted in cells. What a call costs is taken for three amounts of whole cells with the same
mean, and the same variance unless a cell is coarser than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, sqrt

from orchestrator.routing.finish import MARGIN, Choice, Finish, Step, cheapest

CELLS = 64
"""Parts that a budget is divided into."""
LEAST = 1e-3
"""The least chance of success that is told from none: one hopeless step must not make all others
worthless."""
_FINEST = 1e-12
"""Of what all steps can cost together: the least that a cell may be, so that cells are numbers."""
_ROUNDING = 1e-9

Law = Sequence[tuple[int, float]]
"""What a call may cost, in cells, and how likely."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What may be expected of the steps to come.

    Attributes:
        cell: The money between one of `chances` and the next.
        chances: That all of them succeed, with no money, with one cell, and so on; more than the
            last is for buys nothing.
        finish: What the cheapest way to do them needs.
        seconds: How long the quickest way takes at most.
        margin: Deviations of its cost that are kept for a finish.
    """

    cell: float
    chances: Sequence[float]
    finish: Finish
    seconds: float
    margin: float

    def needs(self, choice: Choice) -> float:
        """The money for a choice before them that leaves enough for a finish."""
        return self.finish.after(choice, self.margin)

    def chance(self, choice: Choice, money: float) -> float:
        """That they succeed once a choice before them is paid for."""
        cells = min(money / self.cell, float(len(self.chances) + choice.most / self.cell))
        return sum(part * self._at(cells - cost) for cost, part in law(choice, self.cell))

    def _at(self, cells: float) -> float:
        if cells < 0:
            return 0.0
        low = min(floor(cells), len(self.chances) - 1)
        high = min(low + 1, len(self.chances) - 1)
        return self.chances[low] + min(cells - low, 1.0) * (self.chances[high] - self.chances[low])


def prospects(
    stages: Sequence[Sequence[Step]], budget: float, *, margin: float = MARGIN
) -> Sequence[Prospect]:
    """What may be expected of no step, of the last one, of the last two, and so on.

    Args:
        stages: For each step to come, the cases that it may be, all as likely: one where it is
            known, recorded ones where it is known from them alone.
        budget: The most that will be left when they begin; `inf`: no limit.
        margin: Deviations of a finish's cost that every choice leaves; `-inf`: a plan may halt.

    Returns:
        One for each number of steps, none first.
    """
    dearest = sum(max(choice.most for step in cases for choice in step) for cases in stages)
    cell = max(min(budget, dearest) / CELLS, dearest * _FINEST) or 1.0
    found = [Prospect(cell, (1.0,) * (CELLS + 1), Finish(), 0.0, margin)]
    for cases in reversed(stages):
        found.append(_before(found[-1], cases))
    return found


def law(choice: Choice, cell: float) -> Law:
    """What a choice may cost in whole cells, with its mean and, where they allow it, its variance.

    Args:
        choice: The choice.
        cell: The size of a cell.
    """
    mean = choice.cost / cell
    middle = round(mean)
    off = mean - middle
    square = ((choice.spread or 0.0) / cell) ** 2 + off**2
    # A normal law of that variance has the same fourth moment as one that reaches so far.
    reach = max(1, min(round(sqrt(3 * square)), middle))
    square = min(max(square, abs(off) * reach), reach**2 if middle else off)
    more, less = (square + off * reach) / 2 / reach**2, (square - off * reach) / 2 / reach**2
    return (max(0, middle - reach), less), (middle, 1 - less - more), (middle + reach, more)


def _before(after: Prospect, cases: Sequence[Step]) -> Prospect:
    """What may be expected with one more step before those."""
    later = [0.0] * (CELLS + 1) + list(after.chances)
    finish, seconds, share = after.finish, after.seconds, 1 / len(cases)
    best = [_best(step, after, later) for step in cases]
    for step in cases:
        finish = finish.beside(step, share)
        seconds += share * min(choice.seconds for choice in step)
    chances = best[0] if len(best) == 1 else [share * sum(each) for each in zip(*best, strict=True)]
    return Prospect(after.cell, chances, finish, seconds, after.margin)


def _best(step: Step, after: Prospect, later: Sequence[float]) -> Sequence[float]:
    """The chance with the best choice that fits; where none does, with the one that risks least."""
    least, fits = cheapest(step), [_cells(after.needs(choice), after.cell) for choice in step]
    columns = []
    for choice, fitting in zip(step, fits, strict=True):
        possible = _cells(choice.most, after.cell)
        if choice is least and possible < min(fits):
            column = _paid(choice, after.cell, later, possible)
            column[min(fits) : fitting] = [0.0] * (fitting - min(fits))
        else:
            column = _paid(choice, after.cell, later, fitting)
        columns.append(column)
    return list(map(max, *columns)) if len(columns) > 1 else columns[0]


def _paid(choice: Choice, cell: float, later: Sequence[float], first: int) -> list[float]:
    """The chance with a choice by the cells there are before it is paid for, from some on.

    Args:
        choice: The choice.
        cell: The size of a cell.
        later: The chance of what comes after it, from one cell more than there are below none on.
        first: With how many cells it is one.
    """
    if first > CELLS:
        return [0.0] * (CELLS + 1)
    p, none = max(choice.success, LEAST), CELLS + 1
    (one, few), (two, some), (three, many) = (
        (none - min(cost, none), p * part) for cost, part in law(choice, cell)
    )
    paid = zip(
        later[one + first : one + none],
        later[two + first : two + none],
        later[three + first : three + none],
        strict=True,
    )
    return [0.0] * first + [few * x + some * y + many * z for x, y, z in paid]


def _cells(money: float, cell: float) -> int:
    """The cells for it, rounded down: who has just enough must not be told that it is too little.

    Whether it really is enough, the choice that is made is held against to the last digit.
    """
    return min(floor(money / cell + _ROUNDING), CELLS + 1)
