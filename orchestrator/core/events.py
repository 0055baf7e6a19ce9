"""What happens, as frozen records; telemetry listens, nothing depends on a listener."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage

Certainty = Literal["known", "estimated", "unknown"]
TaskStatus = Literal["running", "completed", "halted", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The part all events share: when, and for whom."""

    at: datetime
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(Event):
    """A task began, or went on under a new epoch."""

    epoch: int
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHalted(Event):
    """A halt latched: no attempt starts any more."""

    halt: Halt


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded(Event):
    """A run of a task returned; ``cost`` is the task's total over all its resumes."""

    status: TaskStatus
    cost: Money
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """Money is reserved and one request goes to the provider."""

    attempt_id: str
    step: str
    model: str
    kind: str
    reserved: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Event):
    """One request to a provider is over and booked."""

    attempt_id: str
    step: str
    model: str
    kind: str
    cost: Money
    certainty: Certainty
    seconds: float
    usage: Usage | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecided(Event):
    """An ask is answered: which model's reply was taken, and what each check said."""

    step: str
    model: str
    accepted: bool
    confidence: float | None
    confidence_state: str
    replayed: bool
    checks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFailed(Event):
    """A tool raised: evidence about the reply that called it, if a model's reply did.

    What the call cost is in its ``AttemptEnded``, whose kind is ``tool``.
    """

    tool: str
    error: str
    step: str | None
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdUnreached(Event):
    """Enough is known to say that no model of a step reaches its threshold. Told once."""

    step: str
    threshold: float
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetThresholdCrossed(Event):
    """A share of a budget is spent. Told once in a window, by whoever noticed first.

    ``scope`` is the task that noticed; ``budget`` and ``holder`` say whose budget it is, ``share``
    (``80%``) and ``action`` what the policy says happens from there on.
    """

    budget: str
    holder: str
    window: str
    share: str
    action: str
    limit: Money
    spent: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAway(Event):
    """The ledger's store cannot be written: the task waits for it, and nothing is spent."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoServed(Event):
    """A memo answered an ask instead of a model; ``saved`` is what that would have cost."""

    step: str
    model: str
    state: Literal["fresh", "stale", "error"]
    age_s: float
    saved: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoFaulted(Event):
    """The memo's store failed: what it holds is paid for again until it works. Told once."""

    error: str


Listener = Callable[[Event], None]
