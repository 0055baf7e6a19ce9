"""Which entries are asked for least: what a full store lets go of.

Counting in memory costs a hit a tenth of a microsecond; writing a count to disk with every hit
costs five times the hit itself. Keys that are not stored are counted too, so a newcomer that is
asked for often is not the first to go again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

DEFAULT_TRACKED = 200_000


class Popularity:
    """Counts of asks by key, of bounded size. Old asks fade: all counts are halved at times."""

    def __init__(self, tracked: int = DEFAULT_TRACKED) -> None:
        """Track at most about ``tracked`` keys."""
        self._tracked = tracked
        self._asks: Counter[str] = Counter()

    def note(self, key: str) -> None:
        """Count one ask."""
        self._asks[key] += 1
        if len(self._asks) > self._tracked:
            self._fade()

    def coldest(self, keys: Iterable[str], count: int) -> list[str]:
        """The ``count`` keys asked for least; among equals those that come first in ``keys``."""
        return sorted(keys, key=self._asks.__getitem__)[:count]

    def _fade(self) -> None:
        # Rebuilt and swapped in one step: another thread may be counting.
        asks = self._asks
        while len(asks) > self._tracked // 2:
            asks = Counter({key: count // 2 for key, count in list(asks.items()) if count > 1})
        self._asks = asks
