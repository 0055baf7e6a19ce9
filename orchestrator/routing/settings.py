"""How one step chooses its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BelowThreshold = Literal["best", "halt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCheck:
    """``form``: the reply must match a regular expression somewhere (``re.search``, multi-line)."""

    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """One entry under ``steps:`` of a policy.

    Attributes:
        confidence: The threshold between 0 and 1 for a check that gives a number (``check=``);
            ``None``: one half. Whatever it is, a reply is accepted if it is complete and all its
            checks pass, and the next candidate is asked if not.
        models: Names of the candidates; empty: every model of the policy.
        checks: Names of built-in checks in the policy's order (``schema``, ``form``,
            ``arithmetic``).
        form: The pattern of the ``form`` check, if it is used.
        below_threshold: What happens when no candidate is accepted.
        timeout_s: Seconds one attempt may take; ``None``: the limits' ``attempt_timeout``.
    """

    confidence: float | None = None
    models: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    form: FormCheck | None = None
    below_threshold: BelowThreshold = "best"
    timeout_s: float | None = None


DEFAULT_STEP = StepSettings()


@dataclass(frozen=True, slots=True)
class StepTable:
    """The steps of a policy by name; ``*`` answers for a step that is not named."""

    steps: dict[str, StepSettings] = field(default_factory=dict)

    def __getitem__(self, name: str) -> StepSettings:
        """The settings of the step ``name``."""
        return self.steps.get(name) or self.steps.get("*") or DEFAULT_STEP
