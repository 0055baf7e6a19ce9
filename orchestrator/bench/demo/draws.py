"""Reproducible draws: the same on every machine and every version of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_RANGE = 2**64


class Draws:
    """A stream of numbers that depends on nothing but its seed."""

    def __init__(self, *seed: object) -> None:
        """Begin the stream named by ``seed``."""
        self._seed = "/".join(map(str, seed))
        self._count = 0

    def uniform(self) -> float:
        """A number from 0 up to, but not including, 1."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}#{self._count}".encode()).digest()
        # 53 bits: all that a float between 0 and 1 can hold.
        return (int.from_bytes(digest[:8], "big") >> 11) / (_RANGE >> 11)

    def integer(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[self.integer(0, len(options) - 1)]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """``count`` different ones of ``options``, in random order."""
        rest = list(options)
        return [rest.pop(self.integer(0, len(rest) - 1)) for _ in range(count)]
