"""The only retry in the project: when, after how long, and when no more."""

from __future__ import annotations

import random
from collections.abc import Callable
from http import HTTPStatus

from tenacity import AsyncRetrying, RetryCallState

from orchestrator.core.clock import Clock
from orchestrator.models.protocol import ModelCallError

MAX_RETRIES = 3
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 60.0


class RetryBudget:
    """Keeps retries from multiplying an outage; one per model, shared by all its callers.

    The retry quota of the AWS SDKs' standard mode, with its numbers: a retry takes 5 of 500 units
    and gives them back when the call succeeds; a call that succeeds at once gives 1. So while
    retries help they are free, and when nothing helps any more a hundred of them are the end of it,
    however many calls come.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """

    def __init__(self, *, capacity: int = 500, retry_cost: int = 5, success_gain: int = 1) -> None:
        """Start full."""
        self._capacity = capacity
        self._retry_cost = retry_cost
        self._success_gain = success_gain
        self._left = capacity

    @property
    def left(self) -> int:
        """Units left."""
        return self._left

    def take(self) -> bool:
        """Pay for one retry; ``False`` if the budget does not allow it."""
        if self._left < self._retry_cost:
            return False
        self._left -= self._retry_cost
        return True

    def give_back(self, retries: int) -> None:
        """Note that a call succeeded after ``retries`` retries."""
        gain = self._retry_cost if retries else self._success_gain
        self._left = min(self._capacity, self._left + gain)


def is_worth_a_retry(error: BaseException) -> bool:
    """Whether the same request may succeed if it is sent again.

    429, 5xx and connection errors, also where the first attempt may have been billed: both are
    rows of the ledger. Not an answer that came whole and could not be read (the next will be like
    it, and was paid for), and never a timeout, which is the caller's own decision.
    """
    if not isinstance(error, ModelCallError) or error.kind == "rejected":
        return False
    if error.kind != "broken":
        return True
    return error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def retrying(
    *,
    clock: Clock,
    budget: RetryBudget,
    deadline: float | None = None,
    may_retry: Callable[[], bool] = lambda: True,
    is_elsewhere: Callable[[ModelCallError], bool] = lambda _: False,
    rng: random.Random | None = None,
) -> AsyncRetrying:
    """Make the retries of one ask; call the result with the function that makes one attempt.

    Waits double from half a second to at most 30 s and are drawn between zero and that ("full
    jitter"); ``Retry-After`` is waited for exactly. Where that is longer than a minute, or the wait
    would not end before the deadline, the error is raised at once: another model may answer sooner.

    Args:
        clock: Where time passes.
        budget: The model's.
        deadline: On ``clock.monotonic()``; ``None``: none.
        may_retry: Asked before each retry; a stream says no after its first piece.
        is_elsewhere: Whether the request can be sent to somebody else at once, which then needs no
            wait, and helps where a key is refused too.
        rng: Draws the jitter; pass one with a seed to repeat a run.

    Returns:
        A retry controller for one ask: ``await retrying(...)(attempt)``. It raises the error of the
        last attempt unchanged.
    """
    # Jitter guards against herds, nothing secret depends on it. Seeding a generator for each ask
    # would cost more than the rest of this function.
    draw = random.uniform if rng is None else rng.uniform

    def _is_elsewhere(error: BaseException) -> bool:
        return isinstance(error, ModelCallError) and is_elsewhere(error)

    def retry(state: RetryCallState) -> bool:
        outcome = state.outcome
        assert outcome is not None, "tenacity asks after an attempt"
        error = outcome.exception()
        if error is None:
            budget.give_back(state.attempt_number - 1)
            return False
        return (is_worth_a_retry(error) or _is_elsewhere(error)) and may_retry()

    def wait(state: RetryCallState) -> float:
        assert state.outcome is not None, "tenacity asks after an attempt"
        error = state.outcome.exception()
        assert isinstance(error, ModelCallError), "nothing else is retried"
        if is_elsewhere(error):
            return 0.0
        if error.retry_after_s is not None:
            return error.retry_after_s
        return draw(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1)))

    def stop(state: RetryCallState) -> bool:
        if state.attempt_number > MAX_RETRIES or state.upcoming_sleep > LONGEST_RETRY_AFTER_S:
            return True
        if deadline is not None and clock.monotonic() + state.upcoming_sleep >= deadline:
            return True
        return not budget.take()  # last: a retry that is not made costs nothing

    return AsyncRetrying(sleep=clock.sleep, retry=retry, wait=wait, stop=stop, reraise=True)
