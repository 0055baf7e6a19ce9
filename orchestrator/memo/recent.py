"""What this process read or wrote last, valid for as long as no one has written since.

A read from SQLite drops and retakes the interpreter's lock several times; with many threads that
makes one hit in a hundred take milliseconds. So a row is kept together with a token that lies in
memory shared by all processes of the store. Whoever writes changes the token *after* its commit; a
reader takes the token *before* it reads. So a row with the present token is the present row. Keys
are spread over many tokens, so that a write hides few other rows; and in each token a process
changes one slot, drawn by lot, so that no change is lost under another. Should two have drawn the
same, who finds that another wrote meanwhile believes nothing of its own.

A writer that is killed between commit and token leaves others at most :data:`VALID_S` behind.
"""

from __future__ import annotations

import mmap
import os
import secrets
import time
from pathlib import Path
from typing import Final

VALID_S = 1.0
MAX_ROWS = 4_096
MAX_BYTES = 2**25
_SLOT_BYTES = 8
_TOKEN_BYTES = 32 * _SLOT_BYTES
_TOKENS = 256


class Unknown:
    """Said of a key that was not read lately; ``None`` would say it is known to be absent."""


UNKNOWN: Final = Unknown()


class Recent:
    """Rows read or written lately, by name. Safe across threads; tokens are shared by processes."""

    def __init__(self, path: Path) -> None:
        """Share the tokens that lie in the file at ``path``.

        Raises:
            OSError: If the file cannot be made or mapped.
        """
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, _TOKENS * _TOKEN_BYTES)
            if hasattr(os, "posix_fallocate"):
                # Writing to shared memory without blocks behind it kills a process on a full disk.
                os.posix_fallocate(file, 0, _TOKENS * _TOKEN_BYTES)
            self._shared = mmap.mmap(file, _TOKENS * _TOKEN_BYTES)
        finally:
            os.close(file)
        self._rows: dict[str, tuple[bytes, float, bytes | None]] = {}
        self._bytes = 0
        self._slot = secrets.randbelow(_TOKEN_BYTES // _SLOT_BYTES) * _SLOT_BYTES

    def token(self, name: str) -> bytes:
        """The present token of ``name``; take it before reading the row."""
        start = _start(name)
        return self._shared[start : start + _TOKEN_BYTES]

    def find(self, name: str) -> bytes | Unknown | None:
        """The present row, if it was read lately and nothing was written since."""
        row = self._rows.get(name)
        if row is None or row[0] != self.token(name) or row[1] < time.monotonic():
            return UNKNOWN
        return row[2]

    def keep(self, name: str, token: bytes, value: bytes | None, valid_s: float) -> None:
        """Keep a row that was read after ``token``, for ``valid_s`` seconds at most."""
        self._bytes += len(value or b"")
        if len(self._rows) >= MAX_ROWS or self._bytes > MAX_BYTES:
            self._rows, self._bytes = {}, 0
        self._rows[name] = (token, time.monotonic() + min(valid_s, VALID_S), value)

    def written(self, name: str, before: bytes, value: bytes, valid_s: float) -> None:
        """Say, after the commit, that one row has changed, and keep it.

        Writers of one process take turns; each calls this before the next writes.

        Args:
            name: The row.
            before: Its token before the write.
            value: What was written.
            valid_s: Seconds for which it is there.
        """
        is_alone = self.token(name) == before
        mark = self._mark(_start(name))
        if not is_alone:
            return
        # Whoever writes from here on makes the token another one, and this row is not found.
        after = before[: self._slot] + mark + before[self._slot + _SLOT_BYTES :]
        self.keep(name, after, value, valid_s)

    def all_written(self) -> None:
        """Say, after the commit, that any row may have changed."""
        for start in range(0, _TOKENS * _TOKEN_BYTES, _TOKEN_BYTES):
            self._mark(start)

    def close(self) -> None:
        """Let go of the shared memory."""
        self._rows.clear()
        self._shared.close()

    def _mark(self, start: int) -> bytes:
        mark = os.urandom(_SLOT_BYTES)
        start += self._slot
        self._shared[start : start + _SLOT_BYTES] = mark
        return mark


def _start(name: str) -> int:
    # Not hash(), which differs between processes. A key is a digest: any two bytes of it will do.
    return (ord(name[-1]) * 31 + ord(name[-2])) % _TOKENS * _TOKEN_BYTES
