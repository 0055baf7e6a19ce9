"""Whom one ask turns to among the keys and regions of a model, from attempt to attempt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.core.money import Money
from orchestrator.models.protocol import ModelCallError
from orchestrator.models.retry import is_worth_a_retry
from orchestrator.runtime.asking.actions import Action
from orchestrator.runtime.run.task_run import TaskRun


@dataclass(slots=True)
class Endpoints:
    """The endpoints of one action, and which of them failed this ask or were too dear for it.

    Most models have one; then all this does is to ask its latch whether it may be asked at all.
    """

    run: TaskRun
    action: Action
    _failed: set[str] = field(default_factory=set)
    _below: Money | None = None

    def first(self) -> Action:
        """Whom to ask.

        Raises:
            ModelCallError: If none may be asked now.
        """
        untried = self._untried()
        if untried is None:
            latch = self.run.services.latch
            reasons = {latch.reason(one.settings.endpoint) for one in self._in_turn()}
            why = "; ".join(sorted(filter(None, reasons)))
            message = f"{self.action.settings.name} is not asked for now: {why}"
            raise ModelCallError(kind="not_connected", message=message)
        return untried

    def after(self, last: Action) -> Action:
        """Whom to ask after ``last`` has failed: who has not; else who has rested longest."""
        if len(self.action.endpoints) == 1:
            return last
        latch = self.run.services.latch
        rested = (one for one in self._in_turn() if latch.state(one.settings.endpoint) != "open")
        return self._untried() or next(rested, last)

    def cheaper(self, refused: Money) -> Action | None:
        """Whom to ask after a budget refused this much: who costs less at the most.

        A budget that others share is only judged by reserving on it.
        """
        self._below = refused
        return self._untried()

    def may_yet_answer(self, error: ModelCallError) -> bool:
        """Whether one that no budget has refused failed for a reason that passes."""
        latch = self.run.services.latch
        return is_worth_a_retry(error) and any(
            one.settings.endpoint in self._failed and latch.state(one.settings.endpoint) != "open"
            for one in self._in_turn()
        )

    def failed(self, asked: Action, error: ModelCallError) -> None:
        """Note how an attempt ended."""
        self._failed.add(asked.settings.endpoint)
        if error.kind == "rate_limited":
            self.run.services.pools.limited(asked.settings.endpoint, error.retry_after_s)

    def is_elsewhere(self, error: ModelCallError) -> bool:
        """Whether the same request may succeed at once with another key or in another region."""
        latch, pools = self.run.services.latch, self.run.services.pools
        # What came whole and could not be read was paid for, and would not be read there either.
        is_open = is_worth_a_retry(error) or not (error.is_about_request or error.kind == "broken")
        return is_open and any(
            one.settings.endpoint not in self._failed
            and not pools.rests(one.settings.endpoint)
            and latch.state(one.settings.endpoint) != "open"
            for one in self._in_turn()
        )

    def _untried(self) -> Action | None:
        """The first in turn that has not failed and may be asked."""
        latch = self.run.services.latch
        for one in self._in_turn():
            endpoint = one.settings.endpoint
            if endpoint not in self._failed and latch.admits(endpoint):
                return one
        return None

    def _in_turn(self) -> Iterator[Action]:
        """Those that no budget has refused, in the order in which the task asks them."""
        by_endpoint = {
            one.settings.endpoint: one
            for one in self.action.endpoints
            if self._below is None or one.bound < self._below
        }
        settings = [one.settings for one in by_endpoint.values()]
        if len(settings) > 1:
            settings = self.run.services.pools.ordered(settings, self.run.scope.task_id)
        for one in settings:
            yield by_endpoint[one.endpoint]
