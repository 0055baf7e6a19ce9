"""Hearing that another process committed: NOTIFY wakes those who wait here, nothing polls.

While nobody waits nothing is listened to: each commit of each process would wake all the others.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable

import psycopg
from psycopg import sql

from orchestrator.ledger.stores.postgres_connection import Place, connect

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
        self._is_awaited = False
        self._is_listening = False
        self._waker, self._woken = socket.socketpair()
        self._waker.settimeout(0)
        self._thread = threading.Thread(target=self._main, name="orchestrator-listen", daemon=True)

    def start(self) -> None:
        """Start to listen, in the background."""
        self._thread.start()

    def attend(self, *, somebody: bool) -> None:
        """Listen from now on, or, once something is heard, no longer."""
        self._is_awaited = somebody
        if somebody and not self._is_listening:
            self._rouse()

    def stop(self) -> None:
        """Stop, and disconnect."""
        self._stopping.set()
        self._rouse()
        self._thread.join()
        self._waker.close()
        self._woken.close()

    def _rouse(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it has been roused often enough
            self._waker.send(b"\0")

    def _main(self) -> None:
        pause_s = RECONNECT_AFTER_S[0]
        while not self._stopping.is_set():
            # A server that is away is told of by whoever writes; here it is only waited for.
            with contextlib.suppress(psycopg.Error), connect(self._place) as connection:
                pause_s = RECONNECT_AFTER_S[0]
                self._serve(connection)
            self._stopping.wait(pause_s)
            pause_s = min(pause_s * 2, RECONNECT_AFTER_S[1])

    def _serve(self, connection: psycopg.Connection) -> None:
        channel = sql.Identifier(self._place.channel)
        self._is_listening = False
        while not self._stopping.is_set():
            if self._is_awaited != self._is_listening:
                # Said before it is done: who begins to wait meanwhile is seen in the next round.
                self._is_listening = not self._is_listening
                verb = sql.SQL("LISTEN {}" if self._is_listening else "UNLISTEN {}")
                connection.execute(verb.format(channel))
                if self._is_listening:
                    self._wake()  # what was told before is lost
                continue
            woken = self._woken.fileno()
            ready, _, _ = select.select([woken, connection.fileno()], [], [])
            if woken in ready:
                self._woken.recv(4096)
            told = list(connection.notifies(timeout=0))
            if any(notification.payload != self._own_id for notification in told):
                self._wake()
