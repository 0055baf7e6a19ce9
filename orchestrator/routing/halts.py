"""A step without an accepted reply, as a halt that says what to change."""

from __future__ import annotations

from orchestrator.core.halt import Halt, Probability
from orchestrator.routing.verdict import Verdict


def confidence_halt(verdict: Verdict, *, step: str, model: str, threshold: float | None) -> Halt:
    """The halt of a step whose policy says ``below_threshold: halt``.

    A reply can be as confident as its step asks and yet fail one of its checks: then no number was
    short, and the halt states none.

    Args:
        verdict: That of the best reply. Its checks are told by name only: their details may quote
            the reply, and a halt is logged.
        step: The step that asked.
        model: The policy's name of the model that gave that reply.
        threshold: The step's ``confidence``.
    """
    limit = spent = None
    if threshold is not None and verdict.confidence is not None and verdict.confidence < threshold:
        limit, spent = Probability(threshold), Probability(verdict.confidence)
    return Halt(
        reason="confidence",
        scope="task",
        limit=limit,
        spent=spent,
        step=step,
        detail=(
            f"No reply of step {step!r} was accepted; the best one, of {model}, failed "
            f"{', '.join(verdict.failed)}. Name a stronger model for the step, or change what its "
            "checks ask; if the money for the next model was short, resume with add_budget."
        ),
    )
