"""A fitted model as plain numbers: it decides without numpy and can be stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """Class means plus linear weights; several outputs at once.

    Attributes:
        base: One row of outputs per class; the last row is for a class not seen before.
        centre: Per dense feature.
        scale: Per dense feature, inverted: 0 for a feature that was constant.
        limit: Where dense features are cut, on the fitted scale.
        dense: One row of output weights per dense feature.
        text: One row of output weights per bucket of hashed words; empty: words are not used.
    """

    base: tuple[tuple[float, ...], ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    limit: float
    dense: tuple[tuple[float, ...], ...]
    text: tuple[tuple[float, ...], ...] = ()

    def predict(
        self, group: int, dense: Sequence[float], words: Mapping[int, float]
    ) -> list[float]:
        """The outputs for one case; `group` is the number of its class, -1 if not seen before."""
        found, limit = list(self.base[group]), self.limit
        if self.dense:
            for value, centre, scale, weights in zip(
                dense, self.centre, self.scale, self.dense, strict=True
            ):
                if z := min(max((value - centre) * scale, -limit), limit):
                    for k, weight in enumerate(weights):
                        found[k] += z * weight
        if self.text:
            for bucket, value in words.items():
                for k, weight in enumerate(self.text[bucket]):
                    found[k] += value * weight
        return found
