"""What a store has nothing to do for when it belongs to one ledger, and is gone with it."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.ledger.stores.rows import Wanted


class Alone:
    """The part of a store that deals with a disk, a server and other processes."""

    shared = False
    look_after_s = (0.0, 0.0)

    def open(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do; what is stored is lost with the object."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Nothing to do: nobody else can write."""

    def attend(self, *, somebody: bool) -> None:
        """The same."""

    def is_passing(self, error: Exception) -> bool:  # noqa: ARG002 - nothing fails here
        """Never."""
        return False

    def version(self) -> int:
        """Always the same: nobody else can write."""
        return 0

    def expect(self, wanted: Wanted) -> None:
        """Nothing to do: it is all here."""

    def overwrite_deleted(self) -> None:
        """Nothing to do."""
