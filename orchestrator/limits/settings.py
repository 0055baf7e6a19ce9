"""The limits of one task."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ATTEMPT_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """``limits:`` of a policy; ``None`` means no limit.

    Attributes:
        timeout_s: Seconds the task may run, added up over its resumes.
        attempt_timeout_s: Seconds one attempt may take.
        model_calls: Attempts on the wire.
        tool_calls: Tool calls.
        tokens: Input and output tokens together.
        steps: Node executions.
        repeats: How often the same step may ask the same request.
    """

    timeout_s: float | None = None
    attempt_timeout_s: float = DEFAULT_ATTEMPT_TIMEOUT_S
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    steps: int | None = None
    repeats: int | None = None
