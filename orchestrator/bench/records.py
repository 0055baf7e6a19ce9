"""What a benchmark found, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.money import Money

Source = Literal["measured", "estimated", "simulated"]
"""Where numbers come from: really paid; recorded or listed tokens and prices; invented models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRun:
    """What one policy did on a suite.

    Attributes:
        name: The policy.
        tasks: How many tasks ran.
        quality: Mean score over all tasks, between 0 and 1; a halted task has what its output got.
        cost: What all tasks cost together, known and estimated and held.
        source: Where cost and quality come from.
        halts: Halted tasks by reason.
        failures: Tasks that ended in an error.
        attempts: Attempts by model.
        seconds: Wall-clock seconds of the whole run, if measured.
    """

    name: str
    tasks: int
    quality: float
    cost: Money
    source: Source
    halts: Mapping[str, int]
    failures: int = 0
    attempts: Mapping[str, int] | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a simple rule would have done on the same questions.

    Attributes:
        name: The rule (``all_cheapest``, ``oracle``).
        detail: Which models it uses.
        tasks: How many questions.
        quality: Mean score, between 0 and 1.
        cost: What all questions cost together.
        source: Where the table it is computed from comes from.
    """

    name: str
    detail: str
    tasks: int
    quality: float
    cost: Money
    source: Source
