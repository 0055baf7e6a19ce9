"""Run those of a step's built-in checks that ask nobody, in the order of what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.models.protocol import Completion, Message
from orchestrator.routing.checks.arithmetic import check_arithmetic
from orchestrator.routing.checks.complete import check_complete
from orchestrator.routing.checks.form import check_form
from orchestrator.routing.checks.logprobs import check_logprobs
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.checks.schema import Schema, check_schema
from orchestrator.routing.checks.tools import check_tools
from orchestrator.routing.settings import StepSettings


def free_checks(
    completion: Completion,
    step: StepSettings,
    schema: Schema | None = None,
    *,
    messages: Sequence[Message] = (),
    tools: Sequence[Mapping[str, Any]] = (),
) -> tuple[tuple[CheckResult, ...], Any]:
    """Run ``complete`` and what ``step.checks`` names; return the results and the parsed value.

    An incomplete reply is not looked at further. A given ``schema`` is always checked, so that
    ``parsed`` can be relied on; ``checks: [schema]`` without one has nothing to say.

    Args:
        completion: The reply.
        step: What its step asks of it.
        schema: The schema it should follow.
        messages: The conversation it answers.
        tools: The tools that were offered.
    """
    results = [check_complete(completion)]
    parsed = None
    if not results[0].passed:
        return tuple(results), parsed
    if schema is not None:
        result, parsed = check_schema(completion, schema)
        results.append(result)
    if step.form is not None:
        results.append(check_form(completion, step.form))
    if "tools" in step.checks:
        results.append(check_tools(completion, messages, tools))
    if step.logprobs is not None:
        results.append(check_logprobs(completion, step.logprobs))
    if "arithmetic" in step.checks:
        results.append(check_arithmetic(completion))
    return tuple(results), parsed
