"""A store in memory: for tests, and for a memo that is to die with its process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.memo.popularity import Popularity
from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import Extent, require_storable

# Room is made for one in so many at once, because finding the coldest sorts all.
_ROOM = 64


class MemoryStore:
    """Entries in a dictionary. Safe across threads; other processes see nothing of it."""

    direct = True

    def __init__(self, settings: StoreSettings | None = None) -> None:
        """Start empty."""
        self._settings = settings or StoreSettings()
        self._popularity = Popularity()
        self._mutex = threading.Lock()
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._sources: dict[str, bytes] = {}
        self._claims: set[str] = set()

    def open(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Give back all claims."""
        with self._mutex:
            self._claims.clear()

    def get(self, key: str, *, counts: bool = True) -> bytes | None:
        """The value, or ``None``."""
        if counts:
            self._popularity.note(key)
        found = self._entries.get(key)
        return None if found is None or found[1] <= time.monotonic() else found[0]

    def put(self, key: str, value: bytes, *, keep_for_s: float) -> None:
        """Store ``value`` for at most ``keep_for_s`` seconds."""
        require_storable(key, value, self._settings.max_value_bytes)
        until = time.monotonic() + min(keep_for_s, self._settings.max_age_s)
        with self._mutex:
            self._entries[key] = (value, until)
        most = self._settings.max_entries
        if most is not None and len(self._entries) > most:
            self._make_room(most - most // _ROOM)

    def delete(self, keys: Iterable[str]) -> int:
        """Delete entries; how many there were."""
        with self._mutex:
            return sum(self._entries.pop(key, None) is not None for key in list(keys))

    def scrub(self) -> None:
        """Nothing to do: what is deleted is gone."""

    def scan(self) -> Iterator[str]:
        """All keys, oldest first."""
        with self._mutex:
            keys = list(self._entries)
        return iter(keys)

    def extent(self) -> Extent:
        """How much it holds."""
        with self._mutex:
            return Extent(len(self._entries), sum(len(body) for body, _ in self._entries.values()))

    def trim(self) -> int:
        """Delete what is past its time, then what is asked for least, down to the limit of size."""
        now = time.monotonic()
        with self._mutex:
            old = [key for key, (_, until) in self._entries.items() if until <= now]
        return self.delete(old) + self._make_room(len(self._entries))

    def _make_room(self, most: int) -> int:
        """Delete what is asked for least until ``most`` entries, and bytes within the limit."""
        held = self.extent()
        over_bytes = held.size_bytes - self._settings.size_limit_bytes
        over_count = held.entries - most
        if over_bytes <= 0 and over_count <= 0:
            return 0
        doomed: list[str] = []
        for key in self._popularity.coldest(self.scan(), held.entries):
            if over_bytes <= 0 and over_count <= 0:
                break
            doomed.append(key)
            over_bytes -= len(self._entries.get(key, (b"", 0.0))[0])
            over_count -= 1
        return self.delete(doomed)

    def sources(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """The record of each source, in order."""
        return [self._sources.get(name) for name in names]

    def set_source(self, name: str, record: bytes) -> None:
        """Replace the record of a source."""
        self._sources[name] = record

    def add_source(self, name: str, record: bytes) -> bytes:
        """Write the record of a source that has none; the record it has now."""
        return self._sources.setdefault(name, record)

    def claim(self, key: str) -> bool:
        """Take the flight of ``key`` if no one has it; whether it was taken."""
        with self._mutex:
            if key in self._claims:
                return False
            self._claims.add(key)
            return True

    def release(self, key: str) -> None:
        """Give a claimed flight back."""
        with self._mutex:
            self._claims.discard(key)

    def claimed_elsewhere(self) -> bool:
        """Never: claims hold in this process."""
        return False
