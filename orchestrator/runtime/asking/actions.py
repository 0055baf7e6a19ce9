"""What a step may do for one request: models with the worst case each can cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.core.money import Money
from orchestrator.core.usage import STANDARD
from orchestrator.models.settings import ModelSettings
from orchestrator.policy.records import UnknownPrice
from orchestrator.pricing.quote import ASSUMED_CONTEXT_WINDOW, Quote, assumed_quote
from orchestrator.pricing.staleness import StalePrice
from orchestrator.pricing.tokens import input_token_bound
from orchestrator.routing.candidates import Candidate, estimate_input_tokens, order_candidates
from orchestrator.runtime.run.request import AskRequest

if TYPE_CHECKING:
    from orchestrator.runtime.run.task_run import TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One model that may be asked, and what an attempt with it can cost at most.

    Attributes:
        settings: The model.
        quote: Its price at the time of asking; ``None``: unknown, and the policy lets it pass.
        bound: The worst case of one attempt.
        expected: What an attempt is expected to cost by its price; ``None``: no price.
        origins: The same at each origin of a model that has several; what is said here is that of
            the dearest.
        token_bound: Input and output tokens of that worst case. What cannot be counted (an image)
            may fill the model's context window.
    """

    settings: ModelSettings
    quote: Quote | None
    bound: Money
    token_bound: int
    expected: Money | None = None
    origins: tuple[Action, ...] = ()

    @property
    def endpoints(self) -> tuple[Action, ...]:
        """Each way to ask: by itself with its own price and bound."""
        return self.origins or (self,)

    @property
    def least(self) -> Money:
        """The worst case at the cheapest of its origins."""
        return min(one.bound for one in self.endpoints)

    def bound_within(self, left: Money | None) -> Money:
        """The worst case at the dearest origin that ``left`` serves; where none is, the least."""
        served = [one.bound for one in self.endpoints if left is None or one.bound <= left]
        return max(served, default=self.least)

    @property
    def name(self) -> str:
        """What is chosen, as it is learned about: model, most output and effort."""
        return action_name(self.settings)


def action_name(settings: ModelSettings) -> str:
    """What is learned about where a model is asked so: model, most output and effort."""
    return f"{settings.model}|{settings.max_output_tokens}|{settings.effort or ''}"


def actions(run: TaskRun, request: AskRequest, names: Sequence[str] = ()) -> tuple[Action, ...]:
    """The candidates of the step for this request, cheapest expected cost first.

    With ``names`` those models instead of the step's.

    One whose worst case nobody knows is left out, but by ``unknown_price``:

    - Without a known price: ``estimate`` assumes a dear one, ``free`` reserves nothing.
    - With a price, but an input that cannot be counted, and no known window that it has to fit in:
      ``free`` assumes a large window, though not where a budget applies.

    So an attempt that has a price reserves at it, and what it is billed is booked where it counts.
    """
    policy = run.policy
    names = names or policy.steps[request.step].models or tuple(policy.models)
    now = run.clock.now()
    rule = policy.stale_price
    models = [one for name in names for one in policy.models[name].endpoints]
    quotes = {
        one: run.services.prices.quote(one.model, override=one.price, at=now, api_base=one.api_base)
        for one in models
    }
    stale = {one for one in models if _is_stale(rule, quotes[one], now)}
    if rule is not None and rule.then == "refuse":
        models = [one for one in models if one not in stale]
    input_bound = input_token_bound(request.messages, request.tools, request.schema)
    hour = _keeps_an_hour([request.messages, request.tools, request.parameters])
    quotes = {
        one: quote
        and replace(
            quote,
            hour_cache=hour,
            media=input_bound is None,
            context_window=one.context_window or quote.context_window,
            asked_tier=one.service_tier or STANDARD,
            stale=rule is not None and rule.then == "estimate" and one in stale,
        )
        for one, quote in quotes.items()
    }
    budgeted = input_bound is None and bool(run.demands(now, finish=request.finish))
    ordered = order_candidates(
        models,
        lambda settings: quotes[settings],
        input_tokens=estimate_input_tokens(request.messages, request.tools),
        allow_unpriced=policy.unknown_price != "refuse",
    )
    found = (
        _action(
            candidate,
            quotes[candidate.settings],
            input_bound,
            unknown_price=policy.unknown_price,
            budgeted=budgeted,
        )
        for candidate in ordered
    )
    return _by_model(action for action in found if action is not None)


def _is_stale(rule: StalePrice | None, quote: Quote | None, now: datetime) -> bool:
    return rule is not None and quote is not None and rule.is_stale(quote, now)


def _by_model(found: Iterable[Action]) -> tuple[Action, ...]:
    """One action for each model, in the place of its dearest origin."""
    origins: dict[str, tuple[Action, ...]] = {}
    for action in found:
        name = action.settings.name
        origins[name] = (*origins.pop(name, ()), action)
    return tuple(
        several[0]
        if len(several) == 1
        else replace(max(several, key=lambda one: one.bound), origins=several)
        for several in origins.values()
    )


def _action(
    candidate: Candidate,
    quote: Quote | None,
    input_bound: int | None,
    *,
    unknown_price: UnknownPrice,
    budgeted: bool,
) -> Action | None:
    """Bound one attempt; ``None`` if it has no bound and the policy refuses that."""
    settings = candidate.settings
    if quote is None and unknown_price == "estimate":
        quote = assumed_quote()
    if quote is None and unknown_price == "refuse":
        return None
    if input_bound is None and quote is not None:
        # What cannot be counted may fill the whole context window, if that is known.
        input_bound = quote.context_window
    if input_bound is None:
        if unknown_price != "free" or (quote is not None and budgeted):
            return None
        input_bound = ASSUMED_CONTEXT_WINDOW
    return Action(
        settings=settings,
        quote=quote,
        bound=Money.ZERO if quote is None else quote.bound(input_bound, settings.max_output_tokens),
        token_bound=input_bound + settings.max_output_tokens,
        expected=candidate.expected_cost,
    )


def _keeps_an_hour(value: object) -> bool:
    """Whether a ``cache_control`` somewhere in a request asks for the dearer, longer life."""
    match value:
        case Mapping():
            return value.get("ttl") == "1h" or any(map(_keeps_an_hour, value.values()))
        case list() | tuple():
            return any(map(_keeps_an_hour, value))
        case _:
            return False
