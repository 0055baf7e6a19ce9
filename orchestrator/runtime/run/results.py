"""What a user gets back: the reply of a step, and the result of a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from orchestrator.core.events import Certainty, TaskStatus
from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import AttemptRecord
from orchestrator.models.protocol import ToolCall
from orchestrator.routing.certificate import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer of one ask.

    Attributes:
        text: The reply's text.
        parsed: The parsed reply if a schema was given and the reply follows it, else ``None``.
        tool_calls: Tools the model wants called.
        model: The policy's name of the model that answered.
        confidence: What the checks make of the reply, 0 to 1; ``None`` if the step has no checks.
        confidence_state: What that number is worth: ``uncalibrated``: the share of checks passed,
            without any promise about how often such replies are right; ``calibrated``: the
            probability that the reply is right; ``certified``: the same, and audits have shown that
            the step's threshold holds.
        cost: What this ask cost, all its attempts together; zero for a replay.
        from_memo: Whether a memo answered instead of a model.
        usage: Tokens of the attempt that answered, if the provider said so believably.
    """

    text: str
    model: str
    cost: Money
    parsed: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    confidence: float | None = None
    confidence_state: str = "uncalibrated"
    from_memo: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one provider, as it was booked.

    Attributes:
        step: The step that asked.
        model: The policy's name of the model.
        cost: What is booked for it, a bill above its bound included.
        certainty: ``known`` (billed or certainly free), ``estimated`` (booked at the worst case
            because the end was not clear) or ``unknown`` (in doubt: held at its full reserve).
    """

    step: str
    model: str
    cost: Money
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Cost:
    """A task's cost by how sure it is.

    Attributes:
        known: What providers billed.
        estimated: What is booked at the worst case.
        unknown: How many attempts are in doubt or still open.
        held: What those are held at.
    """

    known: Money = Money.ZERO
    estimated: Money = Money.ZERO
    unknown: int = 0
    held: Money = Money.ZERO

    @property
    def total(self) -> Money:
        """Known, estimated and held together: never less than what was spent."""
        return self.known + self.estimated + self.held

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> Cost:
        """Sum up ``attempts``."""
        sums: dict[Certainty, Money] = {
            "known": Money.ZERO,
            "estimated": Money.ZERO,
            "unknown": Money.ZERO,
        }
        in_doubt = 0
        for attempt in attempts:
            sums[attempt.certainty] += attempt.cost
            in_doubt += attempt.certainty == "unknown"
        return cls(sums["known"], sums["estimated"], in_doubt, sums["unknown"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How a task stands after ``run`` or ``resume``.

    Attributes:
        task_id: The task.
        status: ``completed``, ``halted`` (resumable) or ``failed``.
        output: The graph's output if it completed, else ``None``.
        partial: The state as last checkpointed, if the task did not complete.
        halt: Why it halted.
        error: What it failed with.
        cost: All attempts of all its runs.
        attempts: Those attempts, in order.
        confidence_state: What the confidences of its replies are worth: that of the least.
        questions: What it waits for a person to answer, by the id of each question.
    """

    task_id: str
    status: TaskStatus
    output: Any = None
    partial: Any = None
    halt: Halt | None = None
    error: str | None = None
    cost: Cost = Cost()
    attempts: tuple[Attempt, ...] = ()
    confidence_state: str = "uncalibrated"
    questions: Mapping[str, Any] = field(default_factory=dict)


def attempt_of(record: AttemptRecord) -> Attempt:
    """Read a ledger's record as a user sees it; an open attempt is in doubt at its reserve."""
    intent, end = record.intent, record.end
    if end is None:
        return Attempt(intent.step, intent.model, intent.reserve, "unknown")
    return Attempt(intent.step, intent.model, end.cost + end.overrun, end.certainty)


def weakest(states: Iterable[str]) -> str:
    """The state that is worth least; ``uncalibrated`` of none."""
    order: tuple[str, ...] = get_args(State)
    return min(states, key=order.index, default=order[0])
