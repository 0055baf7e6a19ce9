"""Writes every event as one JSON line."""

from __future__ import annotations

import dataclasses
from typing import Any, TextIO

from structlog.typing import FilteringBoundLogger

from orchestrator.core.events import (
    AttemptEnded,
    AttemptStarted,
    BudgetThresholdCrossed,
    Event,
    LedgerAway,
    MemoFaulted,
    MemoServed,
    StepDecided,
    TaskEnded,
    TaskHalted,
    TaskStarted,
    ThresholdUnreached,
    ToolFailed,
)
from orchestrator.core.halt import Quantity
from orchestrator.core.money import Money
from orchestrator.core.redaction import redact
from orchestrator.core.usage import Usage
from orchestrator.telemetry.log import make_logger

_WARNINGS = (TaskHalted, ThresholdUnreached, BudgetThresholdCrossed)


class StructlogListener:
    """A listener that logs: who, which step and model, tokens, money (as text), durations.

    Prompts and replies are in no event and so in no line; error texts are redacted, because
    providers quote keys in them.
    """

    def __init__(
        self, file: TextIO | None = None, *, logger: FilteringBoundLogger | None = None
    ) -> None:
        """Log to ``file``, or to a logger of the application's own.

        Args:
            file: A text stream; standard error unless given.
            logger: A structlog logger; wins over ``file``.
        """
        self._logger = make_logger(file) if logger is None else logger

    def __call__(self, event: Event) -> None:
        """Log ``event``; what went wrong or stopped as a warning."""
        name, fields = _fields(event)
        is_warning = isinstance(event, _WARNINGS) or getattr(event, "error", None) is not None
        write = self._logger.warning if is_warning else self._logger.info
        write(name, **_whose(event), **{k: v for k, v in fields.items() if v is not None})


def _whose(event: Event) -> dict[str, str]:
    scope = event.scope
    fields = {
        "at": event.at.isoformat(),
        "org": scope.org,
        "team": scope.team,
        "agent": scope.agent,
        "task_id": scope.task_id,
        "tenant": scope.tenant,
    }
    if scope.user is not None:
        fields["user"] = scope.user
    if scope.ancestors:
        fields["parent_task_id"] = scope.ancestors[-1]
    return fields


def _fields(event: Event) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any]
    match event:
        case TaskStarted():
            name, fields = "task_started", {"epoch": event.epoch, "resumed": event.resumed}
        case TaskHalted(halt=halt):
            name, fields = (
                "task_halted",
                {
                    "reason": halt.reason,
                    "halt_scope": halt.scope,
                    "limit": _quantity(halt.limit),
                    "spent": _quantity(halt.spent),
                    "step": halt.step,
                    "detail": redact(halt.detail) or None,
                },
            )
        case TaskEnded():
            name, fields = (
                "task_ended",
                {
                    "status": event.status,
                    "cost_usd": event.cost.to_json(),
                    "seconds": event.seconds,
                    "error": None if event.error is None else redact(event.error),
                },
            )
        case AttemptStarted():
            name, fields = (
                "attempt_started",
                _attempt(event) | {"reserved_usd": event.reserved.to_json()},
            )
        case AttemptEnded():
            name = "attempt_ended"
            fields = _attempt(event) | _tokens(event.usage)
            fields |= {
                "cost_usd": event.cost.to_json(),
                "certainty": event.certainty,
                "seconds": event.seconds,
                "error": None if event.error is None else redact(event.error),
            }
        case StepDecided():
            name, fields = (
                "step_decided",
                {
                    "step": event.step,
                    "model": event.model,
                    "accepted": event.accepted,
                    "confidence": event.confidence,
                    "confidence_state": event.confidence_state,
                    "replayed": event.replayed,
                    "checks": dict(event.checks),
                },
            )
        case _:
            return _fields_beside(event)
    return name, fields


def _fields_beside(event: Event) -> tuple[str, dict[str, Any]]:
    """Of what happens beside the asks: tools, the memo, budgets and what was learned."""
    fields: dict[str, Any]
    match event:
        case BudgetThresholdCrossed():
            name, fields = "budget_threshold_crossed", _threshold(event)
        case ToolFailed():
            name, fields = (
                "tool_failed",
                {
                    "tool": event.tool,
                    "step": event.step,
                    "model": event.model,
                    "error": redact(event.error),
                },
            )
        case ThresholdUnreached():
            name, fields = (
                "threshold_unreached",
                {
                    "step": event.step,
                    "threshold": event.threshold,
                    "models": list(event.models),
                },
            )
        case MemoServed():
            name, fields = "memo_served", _hit(event)
        case LedgerAway():
            name, fields = "ledger_away", {"error": redact(event.error)}
        case MemoFaulted():
            name, fields = "memo_faulted", {"error": redact(event.error)}
        case _:
            name, fields = type(event).__name__, {}
    return name, fields


def _hit(event: MemoServed) -> dict[str, Any]:
    return {
        "step": event.step,
        "model": event.model,
        "state": event.state,
        "age_s": event.age_s,
        "saved_usd": event.saved.to_json(),
    }


def _threshold(event: BudgetThresholdCrossed) -> dict[str, Any]:
    return {
        "budget": event.budget,
        "holder": event.holder,
        "window": event.window,
        "share": event.share,
        "action": event.action,
        "limit_usd": event.limit.to_json(),
        "spent_usd": event.spent.to_json(),
    }


def _attempt(event: AttemptStarted | AttemptEnded) -> dict[str, Any]:
    return {
        "attempt_id": event.attempt_id,
        "step": event.step,
        "model": event.model,
        "kind": event.kind,
    }


def _tokens(usage: Usage | None) -> dict[str, Any]:
    return {} if usage is None else dataclasses.asdict(usage)


def _quantity(quantity: Quantity | None) -> str | None:
    if quantity is None:
        return None
    return f"{quantity.to_json()} USD" if isinstance(quantity, Money) else str(quantity)
