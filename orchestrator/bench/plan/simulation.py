"""Simulated plans: eight steps, three models at price 1 : 4 : 20. Invented, seeded, never measured.

A step has a difficulty, of which the router sees a part; what it does not see is scatter common to
all models. Stronger models succeed more often. The chances shown to the router are calibrated: what
is told apart here is how money is spread, not how well success is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, pi, sqrt
from random import Random

from orchestrator.routing.finish import Choice

STEPS = 8
NAMES = ("small", "medium", "large")
PRICES = (1.0, 4.0, 20.0)
"""What a reply of average length costs with each model, but for `MEAN`."""
SKILLS = (1.1, 2.2, 3.6)
"""The difficulty at which a model succeeds half of the time."""
MEAN = 1.0625
"""The average length of a reply: all-cheapest costs 8.5."""
MOST = 2.5
"""The longest reply, which is what has to be reserved for; one in a hundred would be longer."""
_SIGMA = 0.4
"""Scatter of the logarithm of the length."""
_SEEN, _UNSEEN = 1.2, 0.7
"""Standard deviations of the part of the difficulty that the router sees, and of the rest."""
_HISTORY = 64
"""Recorded cases that the plan rule is given of what a step looks like."""


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """One step as drawn.

    Attributes:
        choices: What a router is told, one per model, cheapest first.
        costs: What each model would really cost.
        works: Whether each model would really succeed.
    """

    choices: tuple[Choice, ...]
    costs: tuple[float, ...]
    works: tuple[bool, ...]


SimulatedPlan = tuple[SimulatedStep, ...]


def draw_plans(count: int, seed: int) -> Sequence[SimulatedPlan]:
    """Draw plans; the same for all rules and budgets, so that they can be compared in pairs."""
    source = Random(seed)  # noqa: S311 - a simulation, and seeded
    return [tuple(_draw(source) for _ in range(STEPS)) for _ in range(count)]


def history(seed: int) -> Sequence[Sequence[Choice]]:
    """Recorded cases of earlier plans: what a step usually looks like."""
    source = Random(f"history {seed}")  # noqa: S311 - as above
    return [_draw(source).choices for _ in range(_HISTORY)]


def _draw(source: Random) -> SimulatedStep:
    seen, hidden = source.gauss(0, _SEEN), source.gauss(0, _UNSEEN)
    length = min(source.lognormvariate(log(MEAN) - _SIGMA**2 / 2, _SIGMA), MOST)
    # A logistic curve averaged over normal scatter is nearly a flatter one (MacKay 1992).
    flatter = 1 / sqrt(1 + pi * _UNSEEN**2 / 8)
    spread = MEAN * sqrt(exp(_SIGMA**2) - 1)
    return SimulatedStep(
        choices=tuple(
            Choice(
                name=name,
                success=_logistic((skill - seen) * flatter),
                cost=MEAN * price,
                most=MOST * price,
                spread=spread * price,
            )
            for name, price, skill in zip(NAMES, PRICES, SKILLS, strict=True)
        ),
        costs=tuple(length * price for price in PRICES),
        works=tuple(source.random() < _logistic(skill - seen - hidden) for skill in SKILLS),
    )


def _logistic(z: float) -> float:
    return 1 / (1 + exp(-z))
