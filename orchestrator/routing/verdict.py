"""What all checks together say about a reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from orchestrator.routing.certificate import State
from orchestrator.routing.checks import complete
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.estimate.evidence import CheckRecord, posterior

_ALIKE = dict.fromkeys(("schema", "form", "tools"), "shape") | dict.fromkeys(
    ("agreement", "judge", "logprobs"), "opinion"
)
"""Checks that look at the same thing: of each kind only the strongest voice counts."""
NOTHING_KNOWN: Mapping[str, CheckRecord] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a step accepts a reply.

    Attributes:
        accepted: The reply is complete and no applicable check failed. The step's threshold is
            what a check that gives a number is measured by; the others say yes or no.
        confidence: The probability that the reply is acceptable, once that is calibrated. Before,
            no probability: the share of the applicable checks that passed, ``complete`` left out;
            ``None`` if none applied.
        confidence_state: How much ``confidence`` is worth.
        checks: Each check's result, in the order they ran.
        likelihood: How likely the reply is right by what its checks are worth in general, while
            nothing is calibrated; after that, of one that failed them, how often such turned out
            right. It puts replies in order, and is told to nobody as a confidence.
            ``None``: not estimated.
    """

    accepted: bool
    confidence: float | None
    confidence_state: State
    checks: tuple[CheckResult, ...]
    likelihood: float | None = None

    @property
    def passed(self) -> dict[str, bool]:
        """The applicable checks by name, as events and the ledger keep them."""
        return {check.name: check.passed for check in self.checks if check.passed is not None}

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed, in the order they ran."""
        return tuple(check.name for check in self.checks if check.passed is False)


_COMPLETE = Verdict(True, None, "uncalibrated", (complete.PASSED,))  # noqa: FBT003 - its first field


def combine(results: Sequence[CheckResult]) -> Verdict:
    """Judge a reply by the results of its checks, ``complete`` among them."""
    if len(results) == 1 and results[0] is complete.PASSED:
        return _COMPLETE  # what nearly every reply of a step without checks is told
    accepted, evidence = True, []
    for one in results:
        if one.passed is not None:
            accepted = accepted and one.passed
            if one.name != complete.NAME:
                evidence.append(one.passed)
    return Verdict(
        accepted=accepted,
        confidence=sum(evidence) / len(evidence) if evidence else None,
        confidence_state="uncalibrated",
        checks=tuple(results),
    )


def calibrated(
    verdict: Verdict, confidence: float, state: State, threshold: float | None
) -> Verdict:
    """The verdict with a calibrated confidence, which the step's threshold is now held against.

    Args:
        verdict: What the checks say.
        confidence: The probability that the reply is acceptable.
        state: What that is worth.
        threshold: The step's ``confidence``; ``None``: whatever passes its checks is accepted.
    """
    reaches = threshold is None or confidence >= threshold
    return replace(
        verdict,
        accepted=verdict.accepted and reaches,
        confidence=confidence,
        confidence_state=state,
    )


def with_evidence(
    verdict: Verdict, prior: float, records: Mapping[str, CheckRecord] = NOTHING_KNOWN
) -> Verdict:
    """The verdict with the likelihood that the reply is right, before any outcome calibrates it.

    Args:
        verdict: What the checks say.
        prior: The probability that a reply of this model is right.
        records: What the checks were worth so far; one without a record is taken to be right eight
            times in ten.
    """
    results = [(one.name, one.passed) for one in verdict.checks if one.name != complete.NAME]
    return replace(verdict, likelihood=posterior(prior, results, records, _ALIKE))


def best(verdicts: Sequence[Verdict]) -> int:
    """Index of the reply to take when none was accepted.

    A complete reply beats an incomplete one, then the higher likelihood wins, or the confidence
    where none was estimated; then the model that was asked last: it was the dearest.

    Raises:
        ValueError: If there are no verdicts.
    """
    return max(range(len(verdicts)), key=lambda index: (*_rank(verdicts[index]), index))


def _rank(verdict: Verdict) -> tuple[bool, float]:
    is_complete = verdict.passed.get(complete.NAME, True)
    worth = verdict.confidence if verdict.likelihood is None else verdict.likelihood
    return is_complete, -1.0 if worth is None else worth
