"""``form``: the reply matches a regular expression somewhere."""

from __future__ import annotations

import re

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.settings import FormCheck

NAME = "form"


def check_form(completion: Completion, form: FormCheck) -> CheckResult:
    """Whether ``form.pattern`` is found in the reply; a reply that only calls tools has no form.

    The pattern is the policy author's own and is trusted as code is: one that backtracks without
    end stalls the caller.
    """
    if not completion.text and completion.tool_calls:
        return CheckResult.not_applicable(NAME, "the reply only calls tools")
    found = re.search(form.pattern, completion.text, re.MULTILINE) is not None
    detail = "" if found else f"nothing in the reply matches {form.pattern!r}"
    return CheckResult.of(NAME, passed=found, detail=detail)
