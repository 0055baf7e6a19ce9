"""What asking an action is expected to take, with all that comes with it: for choosing only."""

from __future__ import annotations

from orchestrator.core.money import Money
from orchestrator.routing.learning.outlook import Quoted
from orchestrator.runtime.asking.actions import Action, actions
from orchestrator.runtime.asking.errand import Errand
from orchestrator.runtime.run.prompt_cache import Held, left_behind, saved_by
from orchestrator.runtime.storage.journal import JournaledReply


class Quotes:
    """Quotes the actions of one ask, and notes what their replies leave behind."""

    def __init__(self, errand: Errand) -> None:
        """Nobody was asked yet."""
        self._errand = errand
        self._judging: Money | None = None
        self._asked_warm: dict[str, bool] = {}

    def of(self, action: Action, dearest: Action) -> Quoted:
        """What one attempt of an action and the checks of its reply cost by their prices.

        Args:
            action: Which.
            dearest: The dearest of the step's actions, whose replies are not compared.
        """
        held = self._held(action)
        cost = action.expected
        if cost is not None and not self._errand.economizes:
            cost += self._agreement(action, dearest) + self._judge()
        return Quoted(
            action=action.name,
            name=action.settings.name,
            cost=None if cost is None else float(cost.usd),
            is_warm=held is not None,
            held=None if held is None else held.share,
        )

    def chosen(self, action: Action) -> None:
        """Note what the provider holds as it is asked."""
        self._asked_warm[action.settings.name] = self._held(action) is not None

    def was_warm(self, action: Action) -> bool:
        """Whether the provider held something as it was asked."""
        return self._asked_warm.get(action.settings.name, False)

    def answered(self, action: Action, paid: JournaledReply, cost: Money) -> Money:
        """Note what a reply leaves behind, and say what the provider's cache took off it.

        Args:
            action: Whose reply it is.
            paid: The reply.
            cost: What it cost with its retries and checks.
        """
        usage, quote = paid.completion.usage, action.quote
        if usage is None or quote is None or not usage.is_possible:
            return Money.ZERO
        run = self._errand.run
        held = left_behind(quote, usage, cost, run.clock.monotonic())
        run.outlay.prompts.answered(self._errand.request.step, action.settings.endpoint, held)
        return saved_by(quote, usage)

    def _held(self, action: Action) -> Held | None:
        run = self._errand.run
        step, endpoint = self._errand.request.step, action.settings.endpoint
        return run.outlay.prompts.held(step, endpoint, run.clock.monotonic())

    def _agreement(self, action: Action, dearest: Action) -> Money:
        """The price of a second reply to compare with."""
        asked = self._errand.run.policy.steps[self._errand.request.step].agreement
        if asked is None or action is dearest:
            return Money.ZERO
        cost = self._price_of(asked.model) if asked.model else action.expected
        return cost or Money.ZERO

    def _judge(self) -> Money:
        """The price of a judgement, which reads as much as the model that is judged."""
        asked = self._errand.run.policy.steps[self._errand.request.step].judge
        if self._judging is None:
            self._judging = Money.ZERO if asked is None else self._price_of(asked.model)
        return self._judging

    def _price_of(self, model: str) -> Money:
        who = actions(self._errand.run, self._errand.request, (model,))
        return (who[0].expected if who else None) or Money.ZERO
