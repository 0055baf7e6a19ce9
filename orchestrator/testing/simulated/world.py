"""What everybody in a simulation shares: the time, the dice, and what is told of it."""

from __future__ import annotations

import random
from itertools import count

from orchestrator.testing.simulated.process import VirtualTime


class World:
    """Drawn from one seed.

    Attributes:
        dice: What everything is drawn from.
        time: The time.
        told: What happened, line by line.
    """

    def __init__(self, seed: int) -> None:
        """Nothing happened yet."""
        self.dice = random.Random(seed)  # noqa: S311 - keeps no secret
        self.time = VirtualTime()
        self.told: list[str] = []
        self._numbers = count(1)

    def tell(self, line: str) -> None:
        """Note what happened."""
        self.told.append(f"{self.time.seconds:10.3f} {line}")

    def number(self) -> int:
        """One that was not given before."""
        return next(self._numbers)
