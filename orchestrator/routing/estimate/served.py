"""A fitted model as plain numbers: it decides without numpy and can be stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul


@dataclass(frozen=True, slots=True)
class Served:
    """Class means plus linear weights; several outputs at once.

    Attributes:
        base: One row of outputs per class; the last row is for a class not seen before.
        centre: Per dense feature.
        scale: Per dense feature, inverted: 0 for a feature that was constant.
        limit: Where dense features are cut, on the fitted scale.
        dense: Per output, one weight per dense feature; empty: no features are used.
        words: Per output, one weight per bucket of hashed words; empty: words are not used.
    """

    base: tuple[tuple[float, ...], ...]
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    limit: float = 0.0
    dense: tuple[tuple[float, ...], ...] = ()
    words: tuple[tuple[float, ...], ...] = ()

    def predict(
        self, group: int, dense: Sequence[float], words: Mapping[int, float]
    ) -> list[float]:
        """The outputs for one case; `group` is the number of its class, -1 if not seen before."""
        found, limit = list(self.base[group]), self.limit
        if self.dense:
            scaled = [
                min(max((value - centre) * scale, -limit), limit)
                for value, centre, scale in zip(dense, self.centre, self.scale, strict=True)
            ]
            for k, weights in enumerate(self.dense):
                found[k] += sum(map(mul, scaled, weights))
        if self.words:
            values = list(words.values())
            for k, weights in enumerate(self.words):
                found[k] += sum(map(mul, values, map(weights.__getitem__, words)))
        return found
