"""Hearing that another process committed: NOTIFY wakes those who wait here, nothing polls."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable

import psycopg
from psycopg import sql

from orchestrator.ledger.postgres_connection import Place, connect

RECONNECT_AFTER_S = (0.05, 2.0)
"""First and longest pause before a lost connection is made again."""


class Listener:
    """A thread with a connection of its own that hears what other writers tell."""

    def __init__(self, place: Place, own_id: str, wake: Callable[[], None]) -> None:
        """Not started.

        Args:
            place: The ledger.
            own_id: What this writer says of itself; that is not listened to.
            wake: Called, from the thread, when another writer told something, and when one may
                have, unheard.
        """
        self._place = place
        self._own_id = own_id
        self._wake = wake
        self._stopping = threading.Event()
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._main, name="orchestrator-listen", daemon=True)

    def start(self) -> None:
        """Start to listen, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and disconnect."""
        self._stopping.set()
        self._waker.send(b"\0")
        self._thread.join()
        self._waker.close()
        self._woken.close()

    def _main(self) -> None:
        pause_s = RECONNECT_AFTER_S[0]
        while not self._stopping.is_set():
            # A server that is away is told of by whoever writes; here it is only waited for.
            with contextlib.suppress(psycopg.Error), connect(self._place) as connection:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._place.channel)))
                pause_s = RECONNECT_AFTER_S[0]
                self._wake()  # what was told before is lost
                self._listen(connection)
            self._stopping.wait(pause_s)
            pause_s = min(pause_s * 2, RECONNECT_AFTER_S[1])

    def _listen(self, connection: psycopg.Connection) -> None:
        while True:
            select.select([connection.fileno(), self._woken.fileno()], [], [])
            if self._stopping.is_set():
                return
            told = list(connection.notifies(timeout=0))
            if any(notification.payload != self._own_id for notification in told):
                self._wake()
