"""``arithmetic``: a reply's own sums, recomputed exactly.

A reply whose sums are wrong is rarely right. One whose sums are right may still be wrong: it can
have computed the wrong thing.
"""

from __future__ import annotations

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.checks.sums import find_sums

NAME = "arithmetic"


def check_arithmetic(completion: Completion) -> CheckResult:
    """Whether every sum that the reply states with a result comes to that result.

    The score is the share of sums that do. A reply that states no sums is not judged.
    """
    sums = list(find_sums(completion.text))
    if not sums:
        return CheckResult.not_applicable(NAME, "the reply states no sums")
    wrong = [stated for stated in sums if not stated.agrees]
    detail = f"{wrong[0].text}, but it is {float(wrong[0].result):g}" if wrong else ""
    return CheckResult(NAME, not wrong, 1 - len(wrong) / len(sums), detail)
