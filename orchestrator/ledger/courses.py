"""How tasks went: which attempts they made, in their order, and what each took."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.ledger.records import AttemptEnd, AttemptIntent, AttemptKind


class Spent(NamedTuple):
    """One attempt of a task that completed, or of a task inside it.

    Attributes:
        task_id: The outer task.
        is_own: Whether it is the outer task's own.
        step: The step that asked.
        kind: What it was for.
        key: The journal key: all attempts of one ask share it.
        model: The model's name in the policy, or the tool's.
        reserve: The worst case that was reserved for it, in nano-dollars.
        cost: What it cost, in nano-dollars.
        seconds: How long it took.
    """

    task_id: str
    is_own: bool
    step: str
    kind: AttemptKind
    key: str
    model: str
    reserve: int
    cost: int
    seconds: float

    @classmethod
    def of(cls, task_id: str, intent: AttemptIntent, end: AttemptEnd) -> Spent:
        """What an attempt in the course of a task took."""
        return cls(
            task_id=task_id,
            is_own=intent.task_id == task_id,
            step=intent.step,
            kind=intent.kind,
            key=intent.key,
            model=intent.model,
            reserve=intent.reserve.nano,
            cost=(end.cost + end.overrun).nano,
            seconds=end.seconds,
        )
