"""What every store of entries offers.

A store keeps bytes under keys and knows nothing of what they mean. Its methods block; one with
``direct = True`` answers in microseconds and is called on the spot, another on the memo's threads.
Users' own stores prove themselves with the contract suite in ``orchestrator.testing.memo_store``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreFault(Exception):  # noqa: N818 - names the fact; the memo turns it into a miss
    """The store cannot do what was asked: damaged, full, read-only, unreachable."""


class StoreBusy(StoreFault):
    """Another process holds the store for a moment; the same call may work in a moment."""


class ValueRefused(Exception):  # noqa: N818 - names the fact; the memo turns it into a miss
    """A value is no plain bytes, or too large. Nothing was read or written."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a store holds.

    Attributes:
        entries: Entries.
        size_bytes: Bytes they take.
    """

    entries: int
    size_bytes: int


def require_storable(key: str, value: bytes, limit_bytes: int) -> None:
    """Let bytes under text pass, up to a size.

    Raises:
        ValueRefused: If it is anything else.
    """
    if type(value) is not bytes or type(key) is not str:
        message = f"bytes under text, not {type(value).__name__} under {type(key).__name__}"
        raise ValueRefused(message)
    if len(value) > limit_bytes:
        message = f"{len(value)} bytes are more than {limit_bytes}"
        raise ValueRefused(message)


class Store(Protocol):
    """Bytes under keys, versions of sources, and the claims of single flights.

    Safe across threads, and across processes unless it says otherwise. Every method may raise
    :class:`StoreFault`.
    """

    direct: bool

    def open(self) -> None:
        """Open or create. May be called again after a fault."""
        ...

    def close(self) -> None:
        """Close; the claims of this store are released."""
        ...

    def get(self, key: str, *, counts: bool = True) -> bytes | None:
        """The value, or ``None``.

        Args:
            key: Its key.
            counts: Whether it is asked for: what is asked for least goes first.

        Raises:
            ValueRefused: If what lies under the key is no plain bytes.
        """
        ...

    def put(self, key: str, value: bytes, *, keep_for_s: float) -> None:
        """Store ``value``, in place of any other, for at most ``keep_for_s`` seconds.

        Raises:
            ValueRefused: If it is no plain bytes or too large.
            StoreBusy: If it did not get its turn to write; nothing was written.
        """
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Delete entries; how many there were."""
        ...

    def scrub(self) -> None:
        """Make what was deleted unrecoverable, as far as the store can."""
        ...

    def scan(self) -> Iterator[str]:
        """All keys, those long past their time too. Others may write meanwhile."""
        ...

    def extent(self) -> Extent:
        """How much it holds."""
        ...

    def trim(self) -> int:
        """Enforce the limits of size and age; how many entries went."""
        ...

    def sources(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """The record of each source, in order."""
        ...

    def set_source(self, name: str, record: bytes) -> None:
        """Replace the record of a source. Sources are never trimmed."""
        ...

    def add_source(self, name: str, record: bytes) -> bytes:
        """Write the record of a source that has none; the record it has now."""
        ...

    def claim(self, key: str) -> bool:
        """Take the flight of ``key`` if no one has it; whether it was taken.

        It stays taken until :meth:`release` or until this process is dead, and no longer.
        """
        ...

    def release(self, key: str) -> None:
        """Give a claimed flight back."""
        ...

    def claimed_elsewhere(self) -> bool:
        """Whether claims reach beyond this process at all."""
        ...
