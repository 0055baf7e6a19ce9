"""Run a step's built-in checks on a reply, cheapest first."""

from __future__ import annotations

from typing import Any

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.arithmetic import check_arithmetic
from orchestrator.routing.checks.complete import check_complete
from orchestrator.routing.checks.form import check_form
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.checks.schema import Schema, check_schema
from orchestrator.routing.settings import StepSettings

BUILT_IN_CHECKS = ("schema", "form", "arithmetic")


def built_in_checks(
    completion: Completion, step: StepSettings, schema: Schema | None = None
) -> tuple[tuple[CheckResult, ...], Any]:
    """Run ``complete`` and what ``step.checks`` names; return the results and the parsed value.

    An incomplete reply is not looked at further. A given ``schema`` is always checked, so that
    ``parsed`` can be relied on; ``checks: [schema]`` without one has nothing to say.
    """
    results = [check_complete(completion)]
    parsed = None
    if not results[0].passed:
        return tuple(results), parsed
    if schema is not None:
        result, parsed = check_schema(completion, schema)
        results.append(result)
    if "form" in step.checks and step.form is not None:
        results.append(check_form(completion, step.form))
    if "arithmetic" in step.checks:
        results.append(check_arithmetic(completion))
    return tuple(results), parsed
