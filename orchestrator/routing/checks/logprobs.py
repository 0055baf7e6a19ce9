"""``logprobs``: how sure the model was of its least sure tokens.

A sum of log-probabilities grows with the length of a reply and says nothing about its quality; a
low quantile of them shows whether the model guessed somewhere.
"""

from __future__ import annotations

from math import exp

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.settings import LogprobsCheck

NAME = "logprobs"


def check_logprobs(completion: Completion, asked: LogprobsCheck) -> CheckResult:
    """Whether the token at ``asked.quantile`` had at least the probability ``asked.at_least``.

    That probability is the score. A reply whose provider told none is not judged.
    """
    told = sorted(completion.logprobs)
    if not told:
        return CheckResult.not_applicable(NAME, "the provider told no log-probabilities")
    # A provider's -9999.0 stands for "not among the likeliest"; exp makes a plain 0.0 of it.
    score = exp(min(told[int(asked.quantile * (len(told) - 1))], 0.0))
    passed = score >= asked.at_least
    detail = "" if passed else f"a token had probability {score:.3g}, needed {asked.at_least:g}"
    return CheckResult(NAME, passed, score, detail)
