"""The limits of one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from orchestrator.core.durations import parse_duration
from orchestrator.core.errors import ResumeError

DEFAULT_ATTEMPT_TIMEOUT_S = 120.0

CountedLimit = Literal["model_calls", "tool_calls", "tokens", "steps", "repeats"]

# What stops a task, and so can be extended; an attempt's timeout stops none.
EXTENSIBLE_LIMITS: tuple[str, ...] = ("timeout", *get_args(CountedLimit))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """``limits:`` of a policy; ``None`` means no limit.

    Attributes:
        timeout_s: Seconds the task may run, added up over its resumes.
        attempt_timeout_s: Seconds one attempt may take.
        model_calls: Attempts on the wire.
        tool_calls: Tool calls.
        tokens: Input and output tokens together, as the providers say; where one does not say,
            or says what cannot be true, the most that its attempt can have taken.
        steps: Node executions.
        repeats: How often the same step may ask the same request.
        tools: Calls of single tools, by their entries in the policy.
    """

    timeout_s: float | None = None
    attempt_timeout_s: float = DEFAULT_ATTEMPT_TIMEOUT_S
    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    steps: int | None = None
    repeats: int | None = None
    tools: Mapping[str, int] = field(default_factory=dict)


def parse_extensions(given: Mapping[str, Any]) -> dict[str, float]:
    """Read what ``resume(extend=...)`` was given: seconds for ``timeout``, else whole numbers.

    Raises:
        ResumeError: If a name is no limit, or a value is no duration or no whole number above 0.
    """
    return {name: _extension(name, value) for name, value in given.items()}


def extended(settings: LimitSettings, extensions: Mapping[str, Any]) -> LimitSettings:
    """``settings`` with each limit raised by its extension; no limit stays no limit.

    Args:
        settings: The limits of the policy.
        extensions: As :func:`parse_extensions` takes or gives them, added up over all resumes.

    Raises:
        ResumeError: As :func:`parse_extensions`.
    """
    changes: dict[str, Any] = {}
    for name, more in parse_extensions(extensions).items():
        attribute = "timeout_s" if name == "timeout" else name
        limit = getattr(settings, attribute)
        if limit is not None:
            changes[attribute] = limit + (more if name == "timeout" else int(more))
        if name == "tool_calls":
            changes["tools"] = {one: own + int(more) for one, own in settings.tools.items()}
    return replace(settings, **changes)


def _extension(name: str, value: Any) -> float:  # noqa: ANN401 - user input, judged here
    match name:
        case "timeout":
            try:
                return parse_duration(value)
            except ValueError as error:
                message = f"extend['timeout']: {error}"
                raise ResumeError(message) from error
        case _ if name in EXTENSIBLE_LIMITS:
            if type(value) in {int, float} and value > 0 and value % 1 == 0:
                return float(value)
            message = f"extend[{name!r}] is {value!r}; write a whole number above 0, such as 20."
        case _:
            message = f"extend has no {name!r}; it takes {', '.join(EXTENSIBLE_LIMITS)}."
    raise ResumeError(message)
