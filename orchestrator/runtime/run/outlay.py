"""What the next call of a task may take, by what its last ones took."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.core.money import Money
from orchestrator.ledger.records import TaskHistory
from orchestrator.runtime.run.prompt_cache import PromptCaches

REMEMBERED = 4
"""How many calls tell of the next one: an agent's loop has few steps."""


@dataclass(slots=True)
class Outlay:
    """The worst cases, and the times, of the last calls. Safe across threads.

    Attributes:
        prompts: What providers hold of their prompts; another process would come too late for it.
    """

    prompts: PromptCaches = field(default_factory=PromptCaches)
    _reserves: deque[tuple[str, Money]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _steps: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, histories: Iterable[TaskHistory]) -> Outlay:
        """What a resumed task's calls took before."""
        found = cls()
        for history in histories:
            for record in history.attempts:
                if record.end is not None and record.was_sent:
                    found.reserved(record.intent.step, record.intent.reserve)
                    found.took(record.end.seconds)
        return found

    def reserved(self, step: str, reserve: Money) -> None:
        """Note what a call may cost."""
        with self._lock:
            self._reserves.append((step, reserve))
            self._steps.add(step)

    def has_asked(self, step: str) -> bool:
        """Whether a call of this step was made."""
        with self._lock:
            return step in self._steps

    def took(self, seconds: float) -> None:
        """Note how long a call took."""
        with self._lock:
            self._seconds.append(seconds)

    def money(self, ahead: int = 1) -> Money | None:
        """The most the next call may cost; ``None`` if there was none yet.

        Prompts grow as an agent goes on: what the last call of a step needed more than the one
        before it, the next needs more again.

        Args:
            ahead: Which call: 1 is the next, 2 the one after it.
        """
        with self._lock:
            reserves = tuple(self._reserves)
        before: dict[str, Money] = {}
        needs: list[Money] = []
        for step, reserve in reserves:
            growth = reserve - before.get(step, reserve)
            before[step] = reserve
            needs.append(reserve + max(growth, Money.ZERO) * ahead)
        return max(needs, default=None)

    @property
    def seconds(self) -> float | None:
        """How long the next call may take; ``None`` if there was none yet."""
        with self._lock:
            return max(self._seconds, default=None)
