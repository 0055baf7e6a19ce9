"""One model behind several keys and regions: which of them a task asks next."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from orchestrator.core.clock import Clock
from orchestrator.models.settings import ModelSettings

COOL_S = 10.0
"""How long a key rests after a 429 that does not say how long."""


@dataclass(frozen=True, slots=True)
class _Limited:
    at: float
    until: float


class Pools:
    """Which endpoints of pooled models were told to slow down, and in which order tasks ask them.

    A task stays in one region, so that what its provider cached there is found again: the order
    of regions is drawn from its id, the same in every process and after a resume. Within a region
    the key that was limited longest ago comes first; of keys that never were, again one drawn by
    the task. What rests comes last, soonest over first.

    Limits are what this process was told. Safe to use from several threads.
    """

    def __init__(self, clock: Clock) -> None:
        """No endpoint was limited yet."""
        self._clock = clock
        self._limited: dict[str, _Limited] = {}
        self._lock = threading.Lock()

    def limited(self, endpoint: str, retry_after_s: float | None) -> None:
        """Note that an endpoint answered 429, and let it rest; the others of its pool do not."""
        now = self._clock.monotonic()
        with self._lock:
            self._limited[endpoint] = _Limited(now, now + (retry_after_s or COOL_S))

    def rests(self, endpoint: str) -> bool:
        """Whether an endpoint is better left alone now."""
        with self._lock:
            known = self._limited.get(endpoint)
        return known is not None and known.until > self._clock.monotonic()

    def ordered(self, endpoints: Sequence[ModelSettings], task_id: str) -> list[ModelSettings]:
        """The endpoints of one model in the order in which a task asks them.

        Those whose key is not set are left out, unless none is: then the error says which.
        """
        usable = [one for one in endpoints if has_key(one)] or list(endpoints)
        with self._lock:
            limited = dict(self._limited)
        now = self._clock.monotonic()

        def turn(one: ModelSettings) -> tuple[float, bytes, float, bytes]:
            known = limited.get(one.endpoint)
            resting_until = known.until if known is not None and known.until > now else 0.0
            limited_at = float("-inf") if known is None else known.at
            place = (one.region, one.api_base)
            return resting_until, _drawn(task_id, place), limited_at, _drawn(task_id, one.endpoint)

        return sorted(usable, key=turn)


def has_key(settings: ModelSettings) -> bool:
    """Whether the variable that a policy names for the key is set; without one nobody knows."""
    return settings.api_key_env is None or bool(os.environ.get(settings.api_key_env))


def _drawn(task_id: str, what: object) -> bytes:
    """A place in an order that is another for each task, and always the same for one."""
    return sha256(f"{task_id} {what!r}".encode()).digest()
