"""Hands each event to every listener, whatever one of them does."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from orchestrator.core.events import Event, Listener, MemoFaulted
from orchestrator.core.redaction import redact
from orchestrator.telemetry.log import make_logger
from orchestrator.telemetry.structlog_listener import StructlogListener


class Fanout:
    """A listener made of listeners.

    A listener that raises neither stops the others nor reaches the work it was told about: money
    is booked before anyone hears of it. Its first error is reported as a warning on standard
    error; the further ones are counted in :attr:`failures`, and it keeps getting events. Only
    ``Exception`` is caught: Ctrl-C and cancellation pass.
    """

    def __init__(
        self, listeners: Sequence[Listener], *, logger: FilteringBoundLogger | None = None
    ) -> None:
        """Give events to ``listeners`` in their order.

        Args:
            listeners: Called from whichever thread an event happens in.
            logger: Where a broken listener is reported; standard error unless given.
        """
        self._listeners = tuple(listeners)
        self._logger = make_logger() if logger is None else logger
        self._has_log = any(isinstance(one, StructlogListener) for one in listeners)
        self._failures: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def failures(self) -> Mapping[str, int]:
        """How often each listener raised, by its name; empty if none ever did."""
        with self._lock:
            failures = dict(self._failures)
        counts: dict[str, int] = {}
        for index, count in failures.items():
            name = _name(self._listeners[index])
            counts[name] = counts.get(name, 0) + count
        return counts

    def __call__(self, event: Event) -> None:
        """Give ``event`` to every listener; a fault of the memo is logged even without a log."""
        if isinstance(event, MemoFaulted) and not self._has_log:
            StructlogListener(logger=self._logger)(event)
        for index, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a listener's error must not cost anyone else
                self._report(index, event, error)

    def _report(self, index: int, event: Event, error: Exception) -> None:
        with self._lock:
            self._failures[index] = self._failures.get(index, 0) + 1
            is_first = self._failures[index] == 1
        if is_first:
            self._logger.warning(
                "listener_failed",
                listener=_name(self._listeners[index]),
                on=type(event).__name__,
                error=redact(f"{type(error).__name__}: {error}"),
                task_id=event.scope.task_id,
            )


def _name(listener: Listener) -> str:
    return getattr(listener, "__qualname__", None) or type(listener).__qualname__
