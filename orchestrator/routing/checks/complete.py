"""``complete``: the model finished its reply. Holds for every step, named or not."""

from __future__ import annotations

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult

NAME = "complete"
_FINISHED = frozenset({"stop", "tool_calls"})
PASSED = CheckResult.of(NAME, passed=True)


def check_complete(completion: Completion) -> CheckResult:
    """Whether the reply came to its own end and says something."""
    if completion.finish_reason not in _FINISHED:
        detail = f"the reply ended with {completion.finish_reason!r}"
        return CheckResult.of(NAME, passed=False, detail=detail)
    if not completion.text.strip() and not completion.tool_calls:
        return CheckResult.of(NAME, passed=False, detail="the reply is empty")
    return PASSED
