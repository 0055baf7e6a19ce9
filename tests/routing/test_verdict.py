"""Checks together make a verdict."""

import pytest

from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.verdict import best, combine


def results(*, complete=True, **passed):
    return [
        CheckResult.of("complete", passed=complete),
        *(
            CheckResult(name, value, None if value is None else float(value))
            for name, value in passed.items()
        ),
    ]


@pytest.mark.parametrize(
    ("given", "accepted", "confidence"),
    [
        (results(), True, None),
        (results(complete=False), False, None),
        (results(form=True, arithmetic=True), True, 1.0),
        (results(form=True, arithmetic=False), False, 0.5),
        (results(form=True, arithmetic=None), True, 1.0),
        (results(arithmetic=None), True, None),
        (results(form=False), False, 0.0),
    ],
)
def test_every_applicable_check_must_pass(given, accepted, confidence):
    verdict = combine(given)

    assert (verdict.accepted, verdict.confidence) == (accepted, confidence)
    assert verdict.confidence_state == "uncalibrated"


def test_only_applicable_checks_are_reported():
    verdict = combine(results(form=False, arithmetic=None))

    assert verdict.passed == {"complete": True, "form": False}
    assert len(verdict.checks) == 3


def test_the_best_rejected_reply_is_complete_then_confident_then_last():
    cut = combine(results(complete=False))
    poor = combine(results(form=False, schema=False))
    fair = combine(results(form=True, schema=False))

    assert best([fair, poor, cut]) == 0
    assert best([poor, fair, cut]) == 1
    assert best([fair, fair]) == 1
    assert best([cut]) == 0
