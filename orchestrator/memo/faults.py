"""A broken store costs money, never an answer: its faults become misses, and are reported once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.clock import Clock

Side = Literal["read", "write", "claim"]
RETRY_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the store.

    Attributes:
        message: What failed and why, for people.
        kind: ``store`` (it cannot be used) or ``entry`` (one entry is damaged or refused).
    """

    message: str
    kind: Literal["store", "entry"]


OnFault = Callable[[Fault], None]


class FaultGuard:
    """Keeps a broken store from being asked again and again, and from being reported so.

    Reading and writing fail apart: a full disk still serves hits. A side that failed rests for
    :data:`RETRY_AFTER_S`. A fault is reported once, and again only if the store worked in between.
    """

    def __init__(self, clock: Clock, on_fault: OnFault) -> None:
        """Report to ``on_fault``."""
        self._clock = clock
        self._on_fault = on_fault
        self._resting_until_s: dict[Side, float] = {}
        self._reported: set[str] = set()

    @property
    def is_resting(self) -> bool:
        """Whether any side may be resting."""
        return bool(self._resting_until_s)

    def usable(self, side: Side) -> bool:
        """Whether to try."""
        return self._clock.monotonic() >= self._resting_until_s.get(side, 0.0)

    def failed(self, side: Side, error: Exception) -> None:
        """Note that the store failed on one side."""
        self._resting_until_s[side] = self._clock.monotonic() + RETRY_AFTER_S
        # The same trouble shows when reading and when writing: one report for both.
        cause = error.__cause__ or error
        self._report(Fault(str(error), "store"), f"{type(cause).__name__}: {cause}")

    def worked(self, side: Side) -> None:
        """Note that the store worked on one side."""
        if self._resting_until_s and self._resting_until_s.pop(side, None) is not None:
            self._reported.clear()

    def damaged(self, error: Exception) -> None:
        """Note that one entry is unusable; the others may be sound."""
        self._report(Fault(str(error), "entry"), "entry")

    def _report(self, fault: Fault, mark: str) -> None:
        if mark not in self._reported:
            self._reported.add(mark)
            self._on_fault(fault)
