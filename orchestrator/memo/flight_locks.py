"""Claims between processes of one machine: one byte of a file each, locked through the kernel.

Open-file-description locks (Linux) belong to an open file. The kernel drops them at the instant
its last owner dies, by ``kill -9`` too, and not earlier: no lease to renew, no guess after what
time a slow leader passes for a dead one. Locking a byte neither writes nor grows the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX locks on this platform
    OFD_SETLK = None
else:
    OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", None)

# struct flock: type, whence, start, length, pid (must be 0), padded as the C compiler does.
_FLOCK = struct.Struct("hhqqi0q")


class FlightLocks:
    """Exclusive claims on keys. Where the kernel has no such locks, claims hold in this process."""

    def __init__(self, path: Path) -> None:
        """Open the lock file, creating it if needed.

        Raises:
            OSError: If it cannot be opened for writing.
        """
        self._path = path
        self._mutex = threading.Lock()
        self._held: set[str] = set()
        self._file = self._open()
        if hasattr(os, "register_at_fork"):
            # A child would keep its parent's claims alive after the parent's death.
            reference = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _after_fork(reference))

    @property
    def between_processes(self) -> bool:
        """Whether other processes see these claims."""
        return OFD_SETLK is not None

    def claim(self, key: str) -> bool:
        """Take ``key`` if no one has it; whether it was taken."""
        with self._mutex:
            if key in self._held or not self._lock(key, fcntl.F_WRLCK):
                return False
            self._held.add(key)
            return True

    def release(self, key: str) -> None:
        """Give ``key`` back."""
        with self._mutex:
            if key in self._held:
                self._held.remove(key)
                self._lock(key, fcntl.F_UNLCK)

    def close(self) -> None:
        """Release everything and close the file."""
        with self._mutex:
            self._held.clear()
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def reopen_in_child(self) -> None:
        """Start anew in a forked child, holding nothing."""
        self._mutex = threading.Lock()
        self._held.clear()
        with contextlib.suppress(OSError):
            os.close(self._file)
        try:
            self._file = self._open()
        except OSError:
            self._file = -1  # claiming raises EBADF, which the store reports as a fault

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _lock(self, key: str, kind: int) -> bool:
        if OFD_SETLK is None:
            return True
        # 62 bits of the key. Two keys on one byte wait for each other, and nothing worse.
        offset = int(key[:16], 16) >> 2
        try:
            fcntl.fcntl(self._file, OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True


def _after_fork(reference: weakref.ref[FlightLocks]) -> None:
    locks = reference()
    if locks is not None:
        locks.reopen_in_child()
