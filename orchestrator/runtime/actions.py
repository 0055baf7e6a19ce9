"""What a step may do for one request: models with the worst case each can cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.money import Money
from orchestrator.models.settings import ModelSettings
from orchestrator.pricing.quote import Quote, assumed_quote
from orchestrator.pricing.tokens import input_token_bound
from orchestrator.routing.candidates import estimate_input_tokens, order_candidates
from orchestrator.runtime.request import AskRequest

if TYPE_CHECKING:
    from orchestrator.runtime.task_run import TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One model that may be asked, and what an attempt with it can cost at most.

    Attributes:
        settings: The model.
        quote: Its price at the time of asking; ``None``: unknown, and the policy lets it pass.
        bound: The worst case of one attempt.
        token_bound: Input and output tokens of that worst case.
    """

    settings: ModelSettings
    quote: Quote | None
    bound: Money
    token_bound: int | None


def actions(run: TaskRun, request: AskRequest) -> tuple[Action, ...]:
    """The candidates of the step for this request, cheapest expected cost first."""
    policy = run.policy
    names = policy.steps[request.step].models or tuple(policy.models)
    now = run.clock.now()
    quotes = {
        name: run.services.prices.quote(
            policy.models[name].model,
            override=policy.models[name].price,
            at=now,
            api_base=policy.models[name].api_base,
        )
        for name in names
    }
    input_bound = input_token_bound(request.messages, request.tools, request.schema)
    ordered = order_candidates(
        [policy.models[name] for name in names],
        lambda settings: quotes[settings.name],
        input_tokens=estimate_input_tokens(request.messages, request.tools),
        allow_unpriced=policy.unknown_price != "refuse",
    )
    found = (
        _action(run, candidate.settings, quotes[candidate.settings.name], input_bound)
        for candidate in ordered
    )
    return tuple(action for action in found if action is not None)


def _action(
    run: TaskRun, settings: ModelSettings, quote: Quote | None, input_bound: int | None
) -> Action | None:
    """Bound one attempt; ``None`` if it has no bound and the policy refuses that."""
    unknown_price = run.policy.unknown_price
    if quote is None and unknown_price == "estimate":
        quote = assumed_quote()
    if quote is not None and input_bound is None and unknown_price != "free":
        # What cannot be counted may fill the whole context window, if that is known.
        input_bound = quote.context_window
    if quote is None or input_bound is None:
        if unknown_price != "free":
            return None
        return Action(settings=settings, quote=quote, bound=Money.ZERO, token_bound=None)
    return Action(
        settings=settings,
        quote=quote,
        bound=quote.bound(input_bound, settings.max_output_tokens),
        token_bound=input_bound + settings.max_output_tokens,
    )
