"""A latch per model that refuses it for a while after it has failed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.clock import Clock
from orchestrator.models.protocol import ModelCallError

LatchState = Literal["closed", "open", "half_open"]

DEFAULT_FAILURES = 5
DEFAULT_COOL_DOWN_S = 30.0

# The key, the account or the model's name is wrong: asking again cannot help.
_HOPELESS_STATUSES = frozenset({401, 403, 404})
_COUNTED_KINDS = frozenset({"not_connected", "server_error", "broken"})


@dataclass(slots=True)
class _Entry:
    failures: int = 0
    opened_at: float | None = None
    trial_at: float | None = None
    reason: str | None = None


class RefusalLatch:
    """Keeps asks away from models that refuse, until one trial shows that they answer again.

    A model's latch opens after several failures in a row (5xx, no connection, a cut answer), or at
    once when the provider rejects key or model (401, 403, 404) or bills above the bound. After the
    cool-down it is half open: one caller is let through, and how that ends decides. Rate limits
    (429) and rejected requests (other 4xx) say nothing about the model's health and do not count.

    Safe to use from several threads. Models are told apart by whatever key the caller gives, in the
    runtime by :attr:`~orchestrator.models.settings.ModelSettings.endpoint`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        failures: int = DEFAULT_FAILURES,
        cool_down_s: float = DEFAULT_COOL_DOWN_S,
    ) -> None:
        """Make a latch that is closed for every model.

        Args:
            clock: Measures the cool-down.
            failures: Failures in a row that open the latch.
            cool_down_s: Seconds until a trial is let through; also how long a trial that never
                reports back keeps others out.

        Raises:
            ValueError: If ``failures`` is below 1 or ``cool_down_s`` is not above 0.
        """
        if failures < 1 or not cool_down_s > 0:
            message = f"failures={failures} must be >= 1 and cool_down_s={cool_down_s} above 0."
            raise ValueError(message)
        self._clock = clock
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def admits(self, model: str) -> bool:
        """Whether ``model`` may be asked now.

        In the half-open state ``True`` also hands out the one trial: ask only when about to call,
        and report the end with :meth:`succeeded` or :meth:`failed`.
        """
        with self._lock:
            entry = self._entries.get(model)
            if entry is None or entry.opened_at is None:
                return True
            now = self._clock.monotonic()
            if not self._is_cool(entry.opened_at, now):
                return False
            if entry.trial_at is not None and not self._is_cool(entry.trial_at, now):
                return False
            entry.trial_at = now
            return True

    def withdrew(self, model: str) -> None:
        """Note that who was let through asked nothing after all; the next caller may try."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is not None:
                entry.trial_at = None

    def succeeded(self, model: str) -> None:
        """Note that ``model`` answered: its latch closes."""
        with self._lock:
            self._entries.pop(model, None)

    def failed(self, model: str, error: ModelCallError) -> None:
        """Note that an attempt on ``model`` got no answer."""
        hopeless = error.status in _HOPELESS_STATUSES
        with self._lock:
            if hopeless:
                self._open(model, f"HTTP {error.status}")
            elif error.kind in _COUNTED_KINDS:
                entry = self._entries.setdefault(model, _Entry())
                entry.failures += 1
                if entry.opened_at is not None or entry.failures >= self._failures:
                    self._open(model, f"{entry.failures} failures in a row, last: {error.kind}")
            elif (entry_or_none := self._entries.get(model)) is not None:
                # The trial ended without a verdict on the model; the next caller may try.
                entry_or_none.trial_at = None

    def overran(self, model: str) -> None:
        """Note that the provider billed ``model`` above the bound: the latch opens at once."""
        with self._lock:
            self._open(model, "billed above the bound")

    def state(self, model: str) -> LatchState:
        """``closed`` (may be asked), ``open`` (refused) or ``half_open`` (one trial)."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is None or entry.opened_at is None:
                return "closed"
            return (
                "half_open" if self._is_cool(entry.opened_at, self._clock.monotonic()) else "open"
            )

    def reason(self, model: str) -> str | None:
        """Why the latch of ``model`` is not closed; ``None`` if it is."""
        with self._lock:
            entry = self._entries.get(model)
            return None if entry is None else entry.reason

    def _is_cool(self, since: float, now: float) -> bool:
        return now - since >= self._cool_down_s

    def _open(self, model: str, reason: str) -> None:
        entry = self._entries.setdefault(model, _Entry())
        entry.opened_at = self._clock.monotonic()
        entry.trial_at = None
        entry.reason = reason
