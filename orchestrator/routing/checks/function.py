"""``function``: the user's own check of a reply, plain or async."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.routing.checks.result import CheckResult

NAME = "function"
DEFAULT_THRESHOLD = 0.5

ReplyT = TypeVar("ReplyT")
CheckFunction = Callable[[ReplyT], bool | float | Awaitable[bool | float | None] | None]


async def check_function(
    function: CheckFunction[ReplyT], reply: ReplyT, *, threshold: float | None = None
) -> CheckResult:
    """Ask the user's function about a reply.

    ``True``, ``False`` and a failed ``assert`` speak for themselves (``None``: every ``assert``
    held); a number between 0 and 1 passes if it reaches the threshold.

    Args:
        function: The user's function. A plain one runs here and now: it should be quick.
        reply: What it is given.
        threshold: The step's ``confidence``; ``None``: one half.

    Raises:
        ValueError: If the function returns something else.
    """
    try:
        answer: object = function(reply)
        if inspect.isawaitable(answer):
            answer = await answer
    except AssertionError as error:
        return CheckResult.of(NAME, passed=False, detail=str(error) or "an assertion failed")
    if answer is None or isinstance(answer, bool):
        return CheckResult.of(NAME, passed=answer is not False)
    if isinstance(answer, (int, float)) and 0 <= answer <= 1:
        needed = DEFAULT_THRESHOLD if threshold is None else threshold
        passed = answer >= needed
        detail = "" if passed else f"scored {answer:g}, needed {needed:g}"
        return CheckResult(NAME, passed, float(answer), detail)
    message = f"check= returned {answer!r}; return a bool or a number between 0 and 1."
    raise ValueError(message)
