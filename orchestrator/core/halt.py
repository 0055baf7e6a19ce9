"""A stop with a reason that leaves a resumable checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from orchestrator.core.money import Money

HaltReason = Literal[
    "budget",
    "timeout",
    "model_calls",
    "tool_calls",
    "tokens",
    "steps",
    "repeats",
    "confidence",
    "question",
    "no_model",
    "paused",
    "cancelled",
]
HALT_REASONS: tuple[HaltReason, ...] = get_args(HaltReason)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration in seconds."""

    seconds: float

    def __str__(self) -> str:
        """``12.5 s``."""
        return f"{self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things."""

    count: int
    unit: str

    def __str__(self) -> str:
        """``40 model calls``."""
        return f"{self.count} {self.unit}"


@dataclass(frozen=True, slots=True)
class Probability:
    """A confidence between 0 and 1."""

    value: float

    def __str__(self) -> str:
        """``0.85``."""
        return f"{self.value:g}"


Quantity = Money | Seconds | Count | Probability


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a task stopped.

    Attributes:
        reason: What was used up or asked for.
        scope: Whose budget or limit it was (``task``, ``user``, ``agent``, ``team``, ``org``).
        limit: The bound that applied, with its unit; ``None`` where there is none (``paused``).
        spent: How much of it was used, with its unit.
        step: The step that could not start; ``None`` if the halt hit no step.
        detail: A sentence for people: what happened and what to change.
        holder: Whose exactly: a task id, a user, a team; empty where the scope says it all.
    """

    reason: HaltReason
    scope: str
    limit: Quantity | None = None
    spent: Quantity | None = None
    step: str | None = None
    detail: str = ""
    holder: str = ""


class Halted(BaseException):
    """Raised inside a node when its task has halted.

    A ``BaseException``, so that ``except Exception`` in an agent does not mistake a used-up budget
    for a failed call. Swallowing it gains nothing: the node's result is dropped.
    """

    def __init__(self, halt: Halt) -> None:
        """Carry the halt to whoever catches it."""
        super().__init__(halt.detail or halt.reason)
        self.halt = halt
