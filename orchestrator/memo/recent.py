"""What this process read last, valid for as long as no process has written since.

A read from SQLite drops and retakes the interpreter's lock several times; with many threads that
makes one hit in a hundred take milliseconds. So a row is kept as it was read, together with a token
that lies in memory shared by all processes of the store. Whoever writes changes the token *after*
its commit. The token is read *before* the row: a row with the present token is the present row.
A writer that is killed between commit and token leaves others at most :data:`VALID_S` behind.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import Final

VALID_S = 1.0
MAX_ROWS = 4_096
MAX_BYTES = 2**25
_TOKEN_BYTES = 8


class Unknown:
    """Said of a key that was not read lately; ``None`` would say it is known to be absent."""


UNKNOWN: Final = Unknown()


class Recent:
    """Rows read lately, by key. Safe across threads; the token is shared by processes."""

    def __init__(self, path: Path) -> None:
        """Share the token that lies in the file at ``path``.

        Raises:
            OSError: If the file cannot be made or mapped.
        """
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, _TOKEN_BYTES)
            self._token = mmap.mmap(file, _TOKEN_BYTES)
        finally:
            os.close(file)
        self._rows: dict[str, tuple[bytes, float, bytes | None]] = {}
        self._bytes = 0

    def token(self) -> bytes:
        """The present token; take it before reading a row."""
        return self._token[:]

    def find(self, key: str) -> bytes | Unknown | None:
        """The present row under ``key``, if it was read lately and nothing was written since."""
        row = self._rows.get(key)
        if row is None or row[0] != self._token[:] or row[1] < time.monotonic():
            return UNKNOWN
        return row[2]

    def keep(self, key: str, token: bytes, value: bytes | None) -> None:
        """Keep a row that was read after ``token``."""
        self._bytes += len(value or b"")
        if len(self._rows) >= MAX_ROWS or self._bytes > MAX_BYTES:
            self._rows, self._bytes = {}, 0
        self._rows[key] = (token, time.monotonic() + VALID_S, value)

    def written(self) -> None:
        """Say that rows have changed, to every process."""
        # A token of its own for every write: counting up could lose a step between processes.
        self._token[:] = os.urandom(_TOKEN_BYTES)

    def close(self) -> None:
        """Let go of the shared memory."""
        self._rows.clear()
        self._token.close()
