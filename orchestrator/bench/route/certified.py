"""Certify the confidence of one draw, and see on other questions what came of the promise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.bench.route.candidates import taking_part, watched_model
from orchestrator.bench.route.setup import Setup
from orchestrator.routing.certificate import Certificate, certify
from orchestrator.routing.estimate.fitting import Codes
from orchestrator.routing.learning.estimates import Estimates
from orchestrator.routing.learning.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate, and what came of it.

    Attributes:
        certificate: The certificate.
        coverage: The share of the questions reported on that it accepts.
        error: The error among these.
        promised: The error among all questions that audits were drawn from, which is what it
            promises: the few that are reported on scatter around that.
    """

    certificate: Certificate
    coverage: float = 0.0
    error: float = 0.0
    promised: float = 0.0


def certified(evidence: Evidence, drawn: Codes, rows: Codes, setup: Setup) -> Certified:
    """Certify the confidence in one cheap model: half of the labels fit it, the others audit.

    What the audits say may choose nothing, not even which model is certified.
    """
    fitted, audited = np.sort(drawn[::2]), np.sort(drawn[1::2])
    chosen, asked = taking_part(evidence, fitted, post_hoc=setup.post_hoc)
    table, model = chosen.table, watched_model(chosen, fitted, asked)
    confidence = Estimates(chosen, fitted, agree=setup.agree).quality(asked)[:, model]
    wrong = table.score[:, model] < 0.5  # noqa: PLR2004 - the greater half of the score
    certificate = certify(
        [(float(confidence[row]), bool(wrong[row])) for row in audited],
        [float(each) for each in np.quantile(confidence[fitted], np.linspace(0, 1, 51))],
        alpha=setup.alpha,
        delta=setup.delta,
        loss="the reply scores below 0.5",
        scope=table.models[model],
    )
    if certificate.threshold is None:
        return Certified(certificate)
    accepted = confidence >= certificate.threshold
    audits_from = np.concatenate([audited, rows])
    return Certified(
        certificate,
        coverage=float(accepted[rows].mean()),
        error=_share(wrong, rows[accepted[rows]]),
        promised=_share(wrong, audits_from[accepted[audits_from]]),
    )


def _share(wrong: NDArray[np.bool_], rows: Codes) -> float:
    return float(wrong[rows].mean()) if len(rows) else 0.0
