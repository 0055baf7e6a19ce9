"""What is asked of ``bench route``; light, so that the command line can read it before numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.errors import OrchestratorError

Target = Literal["balanced", "best_single"]


class TableError(OrchestratorError):
    """The table cannot be used as asked. Lists every mistake, and what to change."""

    def __init__(self, *mistakes: str) -> None:
        """Gather one mistake or more."""
        self.mistakes: Sequence[str] = mistakes
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is asked of the benchmark.

    Attributes:
        labels: How many questions have their scores known.
        seeds: How many random draws of these.
        target: Where on the curve to report.
        post_hoc: Whether replies are looked at before they are accepted.
        agree: Whether replies are compared with each other.
        alpha: The error among accepted replies that a certificate is asked for.
        delta: The probability of its being false.
    """

    labels: int
    seeds: int
    target: Target = "balanced"
    post_hoc: bool = False
    agree: bool = False
    alpha: float = 0.10
    delta: float = 0.10
