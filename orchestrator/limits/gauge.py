"""The limits of a task and of the tasks around it, asked at each moment that can break one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from orchestrator.core.halt import Halt
from orchestrator.ledger.records import TaskHistory
from orchestrator.limits.deadline import Deadline
from orchestrator.limits.settings import LimitSettings
from orchestrator.limits.tally import MarkKind, Tally

_NO_HISTORIES: Mapping[str, TaskHistory] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left before a limit stops the task; ``None`` where nothing limits.

    Attributes:
        model_calls: Attempts.
        tool_calls: Tool calls.
        tokens: Input and output tokens together.
        steps: Node executions.
        seconds: Time; infinite if nothing sets an end.
    """

    model_calls: int | None
    tool_calls: int | None
    tokens: int | None
    steps: int | None
    seconds: float


class Gauge:
    """Counts what a task does against its limits, and against those of every task around it.

    A method named by its moment is asked before or told after; a refusal is returned as a halt and
    counts nothing. The outermost task is judged first, so that work inside it cannot go on
    restarting within limits of its own. Safe across threads: of many that ask at once, exactly as
    many may start as the limit allows.

    Attributes:
        task_id: The task.
        deadline: Its time.
        tallies: The counts of the tasks around it, outermost first, and at last its own.
        lock: One for the whole tree, so that judging and counting are one act in all of it.
    """

    def __init__(
        self,
        task_id: str,
        settings: LimitSettings,
        deadline: Deadline,
        *,
        parent: Gauge | None = None,
        histories: Mapping[str, TaskHistory] = _NO_HISTORIES,
    ) -> None:
        """Start counting, or go on where the ledger says a task stopped.

        Args:
            task_id: The task.
            settings: Its limits, extensions included.
            deadline: Its time.
            parent: The gauge of the task around it.
            histories: What the ledger knows of this task and of every task inside it, by task id.
                The tasks around it are not told: they have histories of their own.
        """
        own = Tally(task_id, settings)
        for known_id, history in histories.items():
            own.restore(known_id, history)
        self.task_id = task_id
        self.deadline = deadline
        self.tallies: tuple[Tally, ...] = (own,) if parent is None else (*parent.tallies, own)
        self.lock: threading.Lock = threading.Lock() if parent is None else parent.lock

    def before_attempt(self, step: str, request_hash: str, key: str) -> Halt | None:
        """Count an attempt that is about to go out, or refuse it.

        Nobody knows its tokens yet, so the limit on tokens refuses once it is reached; what is in
        flight at that moment comes on top.

        Args:
            step: The step that asks.
            request_hash: What it asks.
            key: The journal key of the ask. Retries and escalations share it, and so are no
                repeats; a replay goes out to nobody and does not come here.
        """
        ask, asked = (step, request_hash), (self.task_id, key)
        with self.lock:
            halt = self.deadline.check(step) or _first(
                tally.refuse_attempt(ask, asked) for tally in self.tallies
            )
            if halt is None:
                for tally in self.tallies:
                    tally.count_attempt(ask, asked)
        return halt

    def before_hit(self, step: str, request_hash: str, key: str) -> Halt | None:
        """Count an ask that a memo answers, or refuse it: free of charge, it can still loop."""
        ask, asked = (step, request_hash), (self.task_id, key)
        with self.lock:
            for tally in self.tallies:
                if halt := tally.refuse_ask(ask, asked):
                    return halt
            for tally in self.tallies:
                tally.count_ask(ask, asked)
        return None

    def attempt_not_sent(self) -> None:
        """Take back the count of an attempt that was refused elsewhere before it went out."""
        with self.lock:
            for tally in self.tallies:
                tally.uncount_attempt()

    def after_attempt(self, tokens: int) -> None:
        """Count the tokens of an attempt: :attr:`AttemptRecord.tokens` of its record."""
        with self.lock:
            for tally in self.tallies:
                tally.count_tokens(tokens)

    def before_step(self, key: str) -> Halt | None:
        """Count a node execution, or refuse it; one that runs again has the same key."""
        return self._mark("steps", key)

    def before_tool_call(self, key: str) -> Halt | None:
        """Count a tool call, or refuse it; one that runs again has the same key."""
        return self._mark("tool_calls", key)

    def remaining(self) -> Remaining:
        """What is left, by the tightest limit of this task and the tasks around it."""
        with self.lock:
            return Remaining(
                model_calls=self._left("model_calls"),
                tool_calls=self._left("tool_calls"),
                tokens=self._left("tokens"),
                steps=self._left("steps"),
                seconds=self.deadline.remaining_s,
            )

    def _mark(self, kind: MarkKind, key: str) -> Halt | None:
        mark = (self.task_id, key)
        with self.lock:
            halt = _first(tally.refuse_mark(kind, mark) for tally in self.tallies)
            if halt is None:
                for tally in self.tallies:
                    tally.count_mark(kind, mark)
        return halt

    def _left(self, name: Literal["model_calls", "tool_calls", "tokens", "steps"]) -> int | None:
        left = [left for tally in self.tallies if (left := tally.left(name)) is not None]
        return min(left, default=None)


def _first(halts: Iterable[Halt | None]) -> Halt | None:
    return next((halt for halt in halts if halt is not None), None)
