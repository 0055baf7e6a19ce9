"""``limits:`` of a policy file."""

from __future__ import annotations

from typing import Annotated

from orchestrator.limits.settings import DEFAULT_ATTEMPT_TIMEOUT_S
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import (
    COUNT,
    DURATION,
)


class LimitsDocument(Document):
    """``limits:`` of one task; what is not named has no limit."""

    timeout: Annotated[float | None, DURATION] = key(
        "How long the task may run, added up over its resumes."
    )
    attempt_timeout: Annotated[float, DURATION] = key(
        "How long one attempt may take.",
        default=DEFAULT_ATTEMPT_TIMEOUT_S,
        shown="2m",
        example="90s",
    )
    model_calls: Annotated[int | None, COUNT] = key("Attempts on the wire.")
    tool_calls: Annotated[int | None, COUNT] = key("Tool calls.", example="60")
    tokens: Annotated[int | None, COUNT] = key("Input and output together.", example="500k")
    steps: Annotated[int | None, COUNT] = key("Node executions.", example="100")
    repeats: Annotated[int | None, COUNT] = key(
        "How often the same step may ask the same request; replays do not count.", example="3"
    )
