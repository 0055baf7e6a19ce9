"""Transactions on dictionaries: what was written is undone, newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Undoing:
    """A list of what to undo if a transaction is rolled back."""

    def __init__(self) -> None:
        """Nothing was written."""
        self._undo: list[Callable[[], object]] = []

    def begin(self, *, write: bool) -> None:  # noqa: ARG002 - nobody else can write
        """Start to note what to undo."""
        self._undo.clear()

    def commit(self) -> None:
        """Keep what was written."""
        self._undo.clear()

    def rollback(self) -> None:
        """Undo, newest first."""
        while self._undo:
            self._undo.pop()()

    def _drop(self, rows: dict[Any, Any], key: object) -> None:
        before = rows.pop(key)
        self._undo.append(lambda: rows.update({key: before}))

    def _put(self, rows: dict[K, V], key: K, row: V) -> None:
        if key in rows:
            before = rows[key]
            self._undo.append(lambda: rows.update({key: before}))
        else:
            self._undo.append(lambda: rows.pop(key))
        rows[key] = row
