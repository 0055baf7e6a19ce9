"""The shared store: Redis (extra ``redis``), for several machines.

Age is Redis' own expiry. Size is the server's ``maxmemory``; choose ``maxmemory-policy
allkeys-lfu``. Should the server evict the versions of sources, what was made from them counts as
changed: dearer, never wrong.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis

from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import Extent, StoreFault, require_storable

CLAIM_S = 10.0
_ROUND = 500

# Only the owner of a claim may prolong it or give it back.
_PROLONG = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""


class RedisStore:
    """Entries in Redis under a prefix of their own.

    A claim is a key with an expiry, prolonged three times in its life by a thread. A leader that
    stands still for longer than :data:`CLAIM_S` passes for dead: then two may ask, and both pay.
    """

    direct = False

    def __init__(
        self,
        url: str,
        settings: StoreSettings | None = None,
        *,
        prefix: str = "orchestrator:memo",
        claim_s: float = CLAIM_S,
    ) -> None:
        """Name the server (``redis://host:6379/0``, ``unix:///path``); nothing is sent yet."""
        self._settings = settings or StoreSettings()
        self._prefix = prefix
        self._claim_ms = int(claim_s * 1000)
        self._owner = secrets.token_hex(16)
        # Each value is bytes both ways: nothing is decoded, nothing is built.
        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=5.0, socket_connect_timeout=5.0, health_check_interval=30
        )
        self._mutex = threading.Lock()
        self._held: set[str] = set()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None

    def open(self) -> None:
        """Reach the server."""
        with self._faults():
            self._client.ping()

    def close(self) -> None:
        """Give back all claims and close the connections."""
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join()
        with contextlib.suppress(StoreFault):
            for key in tuple(self._held):
                self.release(key)
        self._client.close()

    def get(self, key: str, *, counts: bool = True) -> bytes | None:  # noqa: ARG002 - Redis counts
        """The value, or ``None``."""
        with self._faults():
            value: bytes | None = self._client.get(self._name("entry", key))
        return value

    def put(self, key: str, value: bytes, *, keep_for_s: float) -> None:
        """Store ``value`` for at most ``keep_for_s`` seconds."""
        require_storable(key, value, self._settings.max_value_bytes)
        keep_ms = max(1, int(1000 * min(keep_for_s, self._settings.max_age_s)))
        with self._faults():
            self._client.set(self._name("entry", key), value, px=keep_ms)

    def delete(self, keys: Iterable[str]) -> int:
        """Delete entries; how many there were."""
        gone, rest = 0, [self._name("entry", key) for key in keys]
        with self._faults():
            while rest:
                gone += self._client.unlink(*rest[:_ROUND])
                rest = rest[_ROUND:]
        return gone

    def scrub(self) -> None:
        """Nothing to do: what is deleted is gone."""

    def scan(self) -> Iterator[str]:
        """All keys, in no order."""
        start = len(self._name("entry", ""))
        with self._faults():
            for name in self._client.scan_iter(match=self._name("entry", "*"), count=_ROUND):
                yield name.decode()[start:]

    def extent(self) -> Extent:
        """How much it holds, without what Redis itself needs."""
        entries = size = 0
        with self._faults():
            for key in self.scan():
                entries += 1
                size += self._client.strlen(self._name("entry", key))
        return Extent(entries, size)

    def trim(self) -> int:
        """Nothing to do: Redis expires by age, and by size under its ``maxmemory``."""
        return 0

    def sources(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """The record of each source, in order."""
        if not names:
            return []
        with self._faults():
            records: list[bytes | None] = self._client.hmget(self._name("sources"), list(names))
        return records

    def set_source(self, name: str, record: bytes) -> None:
        """Replace the record of a source."""
        with self._faults():
            self._client.hset(self._name("sources"), name, record)

    def add_source(self, name: str, record: bytes) -> bytes:
        """Write the record of a source that has none; the record it has now."""
        with self._faults():
            self._client.hsetnx(self._name("sources"), name, record)
            kept: bytes = self._client.hget(self._name("sources"), name) or record
        return kept

    def claim(self, key: str) -> bool:
        """Take the flight of ``key`` if no one has it; whether it was taken."""
        with self._faults():
            taken = self._client.set(
                self._name("flight", key), self._owner, nx=True, px=self._claim_ms
            )
        if taken:
            with self._mutex:
                self._held.add(key)
                if self._keeper is None:
                    self._keeper = threading.Thread(
                        target=self._prolong, name="memo-claims", daemon=True
                    )
                    self._keeper.start()
        return bool(taken)

    def release(self, key: str) -> None:
        """Give a claimed flight back."""
        with self._mutex:
            if key not in self._held:
                return
            self._held.discard(key)
        with self._faults():
            self._client.eval(_RELEASE, 1, self._name("flight", key), self._owner)

    def claimed_elsewhere(self) -> bool:
        """Yes, on every machine of the server."""
        return True

    def _prolong(self) -> None:
        while not self._closed.wait(self._claim_ms / 3000):
            with self._mutex:
                held = tuple(self._held)
            for key in held:
                # A server out of reach is reported by whoever asks it something next.
                with contextlib.suppress(redis.RedisError, OSError):
                    self._client.eval(
                        _PROLONG, 1, self._name("flight", key), self._owner, self._claim_ms
                    )

    def _name(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            message = f"the memo's Redis does not answer as it should: {error}"
            raise StoreFault(message) from error
