"""Checks together make a verdict."""

import pytest

from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.halts import confidence_halt
from orchestrator.routing.verdict import best, combine, with_evidence


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


def test_a_halt_names_the_checks_that_failed():
    verdict = combine(results(schema=True, form=False, arithmetic=False, function=None))
    halt = confidence_halt(verdict, step="plan", model="large", threshold=0.9)

    assert (halt.reason, halt.scope, halt.step) == ("confidence", "task", "plan")
    assert (str(halt.limit), f"{halt.spent.value:.2f}") == ("0.9", "0.33")
    assert "the best one, of large, failed form, arithmetic." in halt.detail


@pytest.mark.parametrize("threshold", [0.5, 0.4, None])
def test_a_halt_claims_no_limit_that_was_met(threshold):
    """A check that says no is a no, however many others say yes."""
    verdict = combine(results(form=False, arithmetic=True))
    halt = confidence_halt(verdict, step="plan", model="large", threshold=threshold)

    assert (halt.limit, halt.spent) == (None, None)
    assert "failed form." in halt.detail


def test_a_halt_over_a_reply_that_was_cut_says_so():
    halt = confidence_halt(combine(results(complete=False)), step="s", model="m", threshold=0.5)

    assert (halt.limit, halt.spent) == (None, None)
    assert "failed complete." in halt.detail


def test_the_best_rejected_reply_is_complete_then_confident_then_last():
    cut = combine(results(complete=False))
    poor = combine(results(form=False, schema=False))
    fair = combine(results(form=True, schema=False))

    assert best([fair, poor, cut]) == 0
    assert best([poor, fair, cut]) == 1
    assert best([fair, fair]) == 1
    assert best([cut]) == 0


def test_evidence_puts_replies_in_order_and_makes_no_probability_of_a_confidence():
    failed, passed = results(arithmetic=False), results(arithmetic=True)
    weak, strong = (with_evidence(combine(failed), prior) for prior in (0.5, 0.8))
    assert (weak.likelihood, strong.likelihood) == (pytest.approx(0.2), pytest.approx(0.5))
    assert (weak.confidence, weak.confidence_state) == (0.0, "uncalibrated")
    assert best([strong, weak]) == 0, "of two that failed alike the one more likely right before"
    assert best([weak, strong]) == 1
    assert best([with_evidence(combine(passed), 0.5), strong]) == 0, "a check outweighs the model"
    assert best([with_evidence(combine(results(complete=False, form=True)), 0.99), weak]) == 1


def test_checks_of_one_thing_speak_once_and_against_it_first():
    one = with_evidence(combine(results(form=False)), 0.5).likelihood
    assert with_evidence(combine(results(form=False, schema=False)), 0.5).likelihood == one
    assert with_evidence(combine(results(schema=True, form=False)), 0.5).likelihood == one
    two = with_evidence(combine(results(form=False, arithmetic=False)), 0.5).likelihood
    assert two < one
