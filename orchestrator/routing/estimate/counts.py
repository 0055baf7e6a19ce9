"""Estimates from counts alone: what is known before there are labels to fit anything to.

Each mean is drawn to the mean of the scope above it: step to class to tenant to all, and at the
root to a guess by tier. Old outcomes fade, so that a model that changed is learned anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

Path = tuple[str, ...]
"""From the widest scope to the narrowest: ``(tenant, class, step)``; ``()`` is all."""

KAPPA = 10.0
"""Outcomes that a scope needs before its own mean weighs as much as that of the scope above."""
GAMMA = 0.998
"""What is left of an outcome's weight after the next one; 0.998 remembers some 500."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean between `low` and 1, and how many outcomes it is worth."""

    mean: float
    weight: float

    def lower(self, z: float = 1.645) -> float:
        """A lower confidence bound (Wilson 1927); `z` 1.645 is missed with a probability of .05."""
        n, p = max(self.weight, 1e-9), min(max(self.mean, 0.0), 1.0)
        centre = p + z * z / (2 * n)
        return (centre - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


@dataclass(slots=True)
class Count:
    """A discounted sum of outcomes and of their weights, and how many they are."""

    total: float = 0.0
    weight: float = 0.0
    number: int = 0

    def add(self, outcome: float, weight: float, gamma: float) -> None:
        """Let the past fade, then take in one outcome."""
        self.total = self.total * gamma + outcome * weight
        self.weight = self.weight * gamma + weight
        self.number += 1


@dataclass(frozen=True, slots=True)
class Entry:
    """An outcome as a ladder took it in, and which it was at each scope."""

    path: Path
    name: str
    outcome: float
    weight: float
    numbers: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Ladder:
    """Counts per scope and name; a name is an action, or ``gain(strong, weak)``.

    Attributes:
        root: What is guessed of a name without any outcome.
        guess: The same for names without an entry in `root`.
        kappa: See `KAPPA`.
        gamma: See `GAMMA`.
        counts: What was observed, by scope and name.
    """

    root: dict[str, float] = field(default_factory=dict)
    guess: float = 0.5
    kappa: float = KAPPA
    gamma: float = GAMMA
    counts: dict[tuple[Path, str], Count] = field(default_factory=dict)

    def observe(self, path: Path, name: str, outcome: float, weight: float = 1.0) -> Entry:
        """Take in an outcome at a scope and at all scopes above it.

        Args:
            path: The narrowest scope.
            name: The action, or a gain.
            outcome: 0 to 1; for a gain -1 to 1.
            weight: Below 1 for outcomes that are trusted less, such as those of probe sets.

        Returns:
            What `revise` takes.
        """
        numbers = []
        for depth in range(len(path) + 1):
            count = self.counts.setdefault((path[:depth], name), Count())
            count.add(outcome, weight, self.gamma)
            numbers.append(count.number)
        return Entry(path, name, outcome, weight, tuple(numbers))

    def revise(self, entry: Entry, outcome: float, weight: float) -> Entry:
        """Put another outcome in the place of one that was taken in, as faded as that one is."""
        for depth, number in enumerate(entry.numbers):
            count = self.counts[entry.path[:depth], entry.name]
            faded = self.gamma ** (count.number - number)
            count.total += (outcome * weight - entry.outcome * entry.weight) * faded
            count.weight += (weight - entry.weight) * faded
        return replace(entry, outcome=outcome, weight=weight)

    def estimate(
        self, path: Path, name: str, root: float | None = None, *, beside: Ladder | None = None
    ) -> Estimate:
        """The mean at a scope, each scope shrunk to the one above it.

        Args:
            path: The narrowest scope.
            name: The action, or a gain.
            root: A guess for this very case, instead of that of the name.
            beside: Outcomes that are counted too, though they are kept apart.
        """
        mean = self.root.get(name, self.guess) if root is None else root
        weight = 0.0
        for depth in range(len(path) + 1):
            at, total, own = (path[:depth], name), 0.0, 0.0
            if (count := self.counts.get(at)) is not None:
                total, own = count.total, count.weight
            if beside is not None and (count := beside.counts.get(at)) is not None:
                total, own = total + count.total, own + count.weight
            if own:
                mean = (total + self.kappa * mean) / (own + self.kappa)
                weight = own + self.kappa * weight / (weight + self.kappa)
        return Estimate(mean, weight)


def gain(strong: str, weak: str) -> str:
    """The name under which the gain of one action over another is counted.

    It is observed when both were run on one request; it is not the difference of the two means,
    for the weak one is also right where the strong one is wrong.
    """
    return f"gain({strong}, {weak})"


def tiers(prices: Sequence[tuple[str, float]], table: Sequence[float]) -> dict[str, float]:
    """Guesses of success by rank of price, for the root of a ladder.

    Args:
        prices: Each action with its price.
        table: Guesses from the cheapest tier to the dearest.

    Returns:
        A guess per action; the cheapest action is of the first tier, the dearest of the last.
    """
    ordered = sorted(prices, key=lambda pair: pair[1])
    last = max(1, len(ordered) - 1)
    return {
        name: table[round(rank / last * (len(table) - 1))] for rank, (name, _) in enumerate(ordered)
    }


TIERS = (0.60, 0.72, 0.82)
"""Small, medium and large models, as guessed in November 2026: a place to begin, not a fact."""
