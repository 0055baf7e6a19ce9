"""Asking a person for more money: a budget that is used up, as a question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.halt import Halt
from orchestrator.core.money import Money

if TYPE_CHECKING:
    from langgraph.types import Interrupt

    from orchestrator.runtime.run.task_run import TaskRun


def asked(run: TaskRun, halt: Halt, need: Money, *, is_used: bool = False) -> Halt:
    """The halt of a used-up budget, as a question where its policy says ``100%: ask``.

    Args:
        run: The task.
        halt: The halt.
        need: What could not be served.
        is_used: Whether that is spent already, as what is charged for is.
    """
    one: TaskRun | None = run
    while one is not None:
        if halt.holder == one.scope.task_id and any(rule.asks for rule in one.rules):
            return replace(halt, reason="question", detail=_question(halt, need, is_used=is_used))
        one = one.parent
    return halt


def is_about_money(halt: Halt | None) -> bool:
    """Whether a halt asks for more money; a graph's own question has no limit."""
    return halt is not None and halt.reason == "question" and isinstance(halt.limit, Money)


def interrupts(halt: Halt | None) -> tuple[Interrupt, ...]:
    """What LangGraph is told about a halt: the question to a person, or nothing."""
    if halt is None or not is_about_money(halt):
        return ()
    from langgraph.types import Interrupt  # noqa: PLC0415 - it is loaded once a graph runs

    value = {
        "asks_for": "budget",
        "task_id": halt.holder,
        "step": halt.step,
        "limit": str(halt.limit),
        "spent": str(halt.spent),
        "detail": halt.detail,
    }
    return (Interrupt(value=value, id=question_id(halt.holder)),)


def question_id(task_id: str) -> str:
    """The id under which a task asks for more money."""
    return f"budget-{task_id}"


def _question(halt: Halt, need: Money, *, is_used: bool) -> str:
    wants = f"used {need}" if is_used else f"needs {need} for one attempt"
    return (
        f"Step {halt.step!r} {wants}, and {halt.spent} of {halt.limit} is"
        f"{' otherwise' * is_used} spent. How much more may the task spend? Resume with"
        " answer='0.10', in USD, or with add_budget; what was paid is not paid again."
    )
