"""Errors that reach a user. Each message says what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.redaction import mask


class OrchestratorError(Exception):
    """The base of every error this package raises on purpose.

    Its texts reach logs, the ledger and screens, and may quote what others said (a provider, a
    driver, a policy): secrets in them are masked here, where all of them pass.
    """

    def __init__(self, *args: object) -> None:
        """Keep ``args``, with secrets masked where they are text."""
        super().__init__(*(mask(one) if isinstance(one, str) else one for one in args))


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One mistake in a policy.

    Attributes:
        file: The file as the user named it.
        line: The line, counted from 1; 0 if the mistake has no line.
        key: The dotted path of the key (``steps.plan.confidence``).
        message: What is wrong and what to write instead.
    """

    file: str
    line: int
    key: str
    message: str

    def __post_init__(self) -> None:
        """Mask secrets: a key that was written where the name of its variable belongs, say."""
        object.__setattr__(self, "message", mask(self.message))

    def __str__(self) -> str:
        """``file:line: key: message``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class PolicyError(OrchestratorError):
    """A policy cannot be used. Lists every mistake, not only the first."""

    def __init__(self, problems: Sequence[PolicyProblem]) -> None:
        """Gather ``problems``, which must not be empty."""
        self.problems = tuple(problems)
        count = len(self.problems)
        heading = "1 mistake in the policy" if count == 1 else f"{count} mistakes in the policy"
        super().__init__("\n".join([heading, *(f"  {problem}" for problem in self.problems)]))


class TaskExists(OrchestratorError):  # noqa: N818 - the public name that users rely on
    """A task with this id is already in the ledger."""


class TaskNotFound(OrchestratorError):  # noqa: N818 - the public name that users rely on
    """The ledger knows no task with this id."""


class NoRunningTask(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """``step(...)`` or ``current_task()`` was used outside a running task."""


class Fenced(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """Another process took this task over; this one may no longer write for it."""


class LedgerUnavailable(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """The ledger cannot record, so nothing may be spent."""


class LedgerClosed(LedgerUnavailable):
    """The ledger is not open, and will not be by waiting."""


class ResumeError(OrchestratorError):
    """A task cannot be resumed in the way that was asked for."""


class ModelRejected(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """Every candidate model rejected the request itself (a 4xx that no retry can cure)."""


class StreamCut(OrchestratorError):  # noqa: N818 - reads as the state it reports
    """A streamed reply ended before its end; what it cost is booked, and it is not asked again."""
