"""The embedded store: diskcache, kept to bytes and text.

diskcache unpickles what it reads (CVE-2025-69872). :class:`BytesDisk` stores bytes under text and
refuses everything else both ways; it never makes, opens or removes a file that a row names, so
a tampered database leads nowhere. The directory is for its owner alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from orchestrator.memo.flight_locks import FlightLocks
from orchestrator.memo.popularity import Popularity
from orchestrator.memo.recent import VALID_S, Recent, Unknown
from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import Extent, StoreBusy, StoreFault, ValueRefused, require_storable

# Reading never waits. Writing waits this long on the spot, then the memo tries again on a thread.
BUSY_TIMEOUT_S = 0.02
# What deletes, trims or names versions runs apart from any ask, and is patient.
PATIENCE_S = 5.0
TRIM_TO = 0.95
_DELETED_AT_ONCE = 200

# A tampered Settings table makes diskcache fail in ways of plain Python.
_T = TypeVar("_T")
_FAULTS = (
    diskcache.Timeout,
    sqlite3.Error,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)


class BytesDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no type hints
    """Bytes under text, inside the database, and nothing else."""

    def put(self, key: object) -> tuple[str, bool]:
        """The database's form of a key.

        Raises:
            ValueRefused: If it is no text.
        """
        if type(key) is not str:
            message = f"a key must be text, not {type(key).__name__}"
            raise ValueRefused(message)
        return key, True

    def get(self, key: object, raw: object) -> str:
        """A key from its database form; empty if it is no text, so that others are still read."""
        return key if type(key) is str and raw else ""

    def store(
        self,
        value: object,
        read: object,
        key: object = None,  # noqa: ARG002 - diskcache's signature
    ) -> tuple[int, int, None, bytes]:
        """The row's fields for a value.

        Raises:
            ValueRefused: If it is no bytes.
        """
        if type(value) is not bytes or read:
            message = f"a value must be bytes, not {type(value).__name__}"
            raise ValueRefused(message)
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """A value from its row's fields.

        Raises:
            ValueRefused: If it is no bytes inside the row: a pickle, a file, a number.
        """
        if (
            mode != diskcache.core.MODE_RAW
            or filename is not None
            or type(value) is not bytes
            or read
        ):
            message = "a value in the database is no plain bytes (a pickle or a file?)"
            raise ValueRefused(message)
        return value

    def filename(self, key: object = None, value: object = None) -> tuple[str, str]:  # noqa: ARG002 - diskcache's signature
        """Refuse: there are no files beside the database.

        Raises:
            ValueRefused: Always.
        """
        message = "values are stored inside the database only"
        raise ValueRefused(message)

    def remove(self, file_path: object) -> None:
        """Do nothing: no row of ours names a file, and one that does is not to be believed."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is open. The caches are ``Any``: diskcache has no type hints."""

    entries: Any
    sources: Any
    recent: Recent
    locks: FlightLocks


class DiskStore:
    """Entries in a directory of their own, shared by all threads and processes of one machine."""

    direct = True

    def __init__(
        self, directory: str | os.PathLike[str], settings: StoreSettings | None = None
    ) -> None:
        """Name the directory; nothing is touched before :meth:`open`."""
        self.directory = Path(directory)
        self._settings = settings or StoreSettings()
        self._popularity = Popularity()
        self._parts: _Parts | None = None
        # SQLite lets one write at a time; waiting for a turn here is cheaper than there.
        self._writing = threading.Lock()

    def open(self) -> None:
        """Open or create the directory and what is in it.

        Raises:
            StoreFault: If that is not possible, or others could write there.
        """
        if self._parts is not None:
            return
        with self._faults("open"), contextlib.ExitStack() as opened:
            self._make_private()
            entries = opened.enter_context(self._cache("entries"))
            sources = opened.enter_context(self._cache("sources"))
            recent = Recent(self.directory / "written")
            opened.callback(recent.close)
            locks = FlightLocks(self.directory / "flights.lock")
            self._parts = _Parts(entries, sources, recent, locks)
            opened.pop_all()

    def close(self) -> None:
        """Close this thread's connections and give back all claims."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.locks.close()
            parts.recent.close()
            with self._faults("close"):
                parts.entries.close()
                parts.sources.close()

    def get(self, key: str, *, counts: bool = True) -> bytes | None:
        """The value, or ``None``."""
        if counts:
            self._popularity.note(key)
        parts = self._opened()
        return self._read(parts, parts.entries, key, key)

    def put(self, key: str, value: bytes, *, keep_for_s: float) -> None:
        """Store ``value`` for at most ``keep_for_s`` seconds."""
        require_storable(key, value, self._settings.max_value_bytes)
        parts, keep_for_s = self._opened(), min(keep_for_s, self._settings.max_age_s)
        with self._writing:
            before = parts.recent.token(key)
            with self._faults("write"):
                parts.entries.set(key, value, expire=keep_for_s)
            parts.recent.written(key, before, value, keep_for_s)

    def delete(self, keys: Iterable[str]) -> int:
        """Delete entries; how many there were."""
        entries, gone, rest = self._opened().entries, 0, list(keys)
        while rest:
            batch, rest = rest[:_DELETED_AT_ONCE], rest[_DELETED_AT_ONCE:]
            gone += self._patiently(_delete_all, entries, batch)
        return gone

    def scrub(self) -> None:
        """Empty the write-ahead log, so that what was deleted is nowhere in the directory."""
        with self._faults("write"):
            database = sqlite3.connect(self.directory / "entries" / diskcache.core.DBNAME)
            with contextlib.closing(database):
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def scan(self) -> Iterator[str]:
        """All keys, oldest first; a row whose key is no text is passed over."""
        with self._faults("read"):
            yield from filter(None, self._opened().entries)

    def extent(self) -> Extent:
        """How much it holds."""
        with self._faults("read"):
            entries = self._opened().entries
            return Extent(len(entries), entries.volume())

    def trim(self) -> int:
        """Delete what is past its time, then what is asked for least until 95 % of a limit."""
        limits, entries = self._settings, self._opened().entries
        gone: int = self._patiently(entries.expire)
        with self._faults("read"):
            held = len(entries)
            over_count = limits.max_entries is not None and held > limits.max_entries
            over_size = entries.volume() > limits.size_limit_bytes
            if not over_count and not over_size:
                return gone
            keep = held
            if over_count:
                keep = int(TRIM_TO * (limits.max_entries or 0))
            if over_size:
                share = TRIM_TO * limits.size_limit_bytes / entries.volume()
                keep = min(keep, int(held * share))
        return gone + self.delete(self._popularity.coldest(self.scan(), held - keep))

    def sources(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """The record of each source, in order."""
        parts = self._opened()
        return [self._read(parts, parts.sources, name, f"source {name}") for name in names]

    def set_source(self, name: str, record: bytes) -> None:
        """Replace the record of a source."""
        self._patiently(self._opened().sources.set, name, record)

    def add_source(self, name: str, record: bytes) -> bytes:
        """Write the record of a source that has none; the record it has now."""
        sources = self._opened().sources
        self._patiently(sources.add, name, record)
        with self._faults("read"):
            kept: bytes = sources.get(name) or record
        return kept

    def claim(self, key: str) -> bool:
        """Take the flight of ``key`` if no one has it; whether it was taken."""
        with self._faults("claim"):
            return self._opened().locks.claim(key)

    def release(self, key: str) -> None:
        """Give a claimed flight back."""
        if self._parts is not None:
            with self._faults("claim"):
                self._parts.locks.release(key)

    def claimed_elsewhere(self) -> bool:
        """Whether claims reach beyond this process."""
        return self._parts is not None and self._parts.locks.between_processes

    def _read(self, parts: _Parts, cache: Any, key: str, name: str) -> bytes | None:  # noqa: ANN401 - diskcache has no type hints
        value = parts.recent.find(name)
        if isinstance(value, Unknown):
            token = parts.recent.token(name)
            try:
                value, expires_s = cache.get(key, expire_time=True)
            except _FAULTS as error:
                raise self._fault("read", error) from error  # noqa: EM101 - a word of the message
            valid_s = VALID_S if expires_s is None else expires_s - time.time()
            parts.recent.keep(name, token, value, valid_s)
        return value

    def _opened(self) -> _Parts:
        parts = self._parts
        if parts is None:
            message = f"the memo at {self.directory} is not open"
            raise StoreFault(message)
        return parts

    def _cache(self, name: str) -> Any:  # noqa: ANN401 - diskcache has no type hints
        return diskcache.Cache(
            str(self.directory / name),
            timeout=BUSY_TIMEOUT_S,
            disk=BytesDisk,
            # Our own trim() evicts, on a thread; a put or a hit never does.
            eviction_policy="none",
            cull_limit=0,
            disk_min_file_size=2**62,
            statistics=0,
            tag_index=0,
            # What is forgotten is overwritten, not only unlinked.
            sqlite_secure_delete=1,
        )

    def _make_private(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = self.directory.stat()
        if hasattr(os, "getuid") and facts.st_uid != os.getuid():
            message = f"{self.directory} belongs to another user; name a directory of your own"
            raise PermissionError(message)
        if stat.S_IMODE(facts.st_mode) & 0o077:
            self.directory.chmod(0o700)
        for name in ("entries", "sources"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)
        # Whoever packed a directory could lead us to files outside of it.
        for path in self.directory.rglob("*"):
            if path.is_symlink():
                message = f"{path} is a link; a memo's directory holds files of its own only"
                raise PermissionError(message)

    def _patiently(self, write: Callable[..., _T], *args: object) -> _T:
        recent = self._opened().recent
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._writing, self._faults("write"):
                    result = write(*args)
                    recent.all_written()
            except StoreBusy:
                if time.monotonic() >= until:
                    raise
            else:
                return result

    @contextlib.contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        try:
            yield
        except _FAULTS as error:
            raise self._fault(doing, error) from error

    def _fault(self, doing: str, error: BaseException) -> StoreFault:
        cause = error.__context__
        if isinstance(error, diskcache.Timeout) and (
            not isinstance(cause, sqlite3.Error) or cause.sqlite_errorcode == sqlite3.SQLITE_BUSY
        ):
            message = f"the memo at {self.directory} is being written by another process"
            return StoreBusy(message)
        # diskcache calls a timeout whatever stops a transaction from beginning, and a failed
        # rollback hides why it was rolled back: the cause says more.
        told = cause if isinstance(cause, sqlite3.Error) else error
        return StoreFault(f"cannot {doing} the memo at {self.directory}: {told}")


def _delete_all(entries: Any, keys: Sequence[str]) -> int:  # noqa: ANN401 - diskcache has no type hints
    with entries.transact():
        return sum(entries.delete(key) for key in keys)
