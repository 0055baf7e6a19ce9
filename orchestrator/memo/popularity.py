"""Which entries are asked for least: what a full store lets go of.

While popularity does not change, no store without foresight does better than the one that keeps
what is asked for most often (Aho, Denning and Ullman, *Principles of optimal page replacement*,
1971). Popularity does change, so old asks fade, as in TinyLFU (Einziger, Friedman and Manes, 2017);
but an ask fades with every ask after it instead of all of them halving at once, which would forget
what was asked for once: the forward decay of Cormode, Shkapenyuk, Srivastava and Xu (2009).

Counting in memory costs a hit a fraction of a microsecond; writing a count to disk with every hit
costs five times the hit itself. Keys that are not stored are counted too, so a newcomer that is
asked for often is not the first to go again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

DEFAULT_TRACKED = 200_000
HALF_LIFE = 40
"""Asks per stored entry after which an ask counts half: shorter, and chance decides between entries
of about the same popularity; longer, and what was popular once is kept for too long."""
_HEAVIEST = 1e200


class Popularity:
    """Fading counts of asks by key, of bounded size."""

    def __init__(self, tracked: int = DEFAULT_TRACKED) -> None:
        """Track at most ``tracked`` keys."""
        self._tracked = tracked
        self._asks: dict[str, float] = {}
        # An ask weighs more than all before it by this factor, instead of those losing weight.
        self._growth = 1.0
        self._weight = 1.0

    def note(self, key: str) -> None:
        """Count one ask."""
        self._weight = weight = self._weight * self._growth
        asks = self._asks
        asks[key] = asks.get(key, 0.0) + weight
        if len(asks) > self._tracked or weight > _HEAVIEST:
            self._forget()

    def coldest(self, keys: Iterable[str], count: int) -> list[str]:
        """The ``count`` keys asked for least; among equals those that come first in ``keys``.

        ``keys`` is all that is stored: by their number it is known how fast asks are to fade.
        """
        stored, asks = list(keys), self._asks
        self._growth = 2.0 ** (1.0 / (HALF_LIFE * max(1, len(stored))))
        return sorted(stored, key=lambda key: asks.get(key, 0.0))[:count]

    def _forget(self) -> None:
        # Rebuilt and swapped in one step: another thread may be counting.
        weight, asks = self._weight, list(self._asks.items())
        if len(asks) > self._tracked:
            asks = heapq.nlargest(self._tracked // 2, asks, key=lambda ask: ask[1])
        self._asks = {key: count / weight for key, count in asks}
        self._weight = 1.0
