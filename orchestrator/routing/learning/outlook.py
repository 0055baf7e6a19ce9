"""What may be expected of each action of a step, and which to ask next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from orchestrator.routing.cascade import BelowThreshold, Decision, InHand, Option, Threshold, decide
from orchestrator.routing.estimate.counts import TIERS, tiers
from orchestrator.routing.learning.knowledge import Knowledge, StepKey

_KAPPA = 5.0
"""Replies by which an action's own record weighs as much as what is guessed of it."""
_THIN = 10
"""Replies of an action below which its record decides nothing: it stays in the order of price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """An action that could be taken.

    Attributes:
        action: Model, most output, effort.
        name: The model's name in the policy.
        cost: What one attempt is expected to cost by its price, in USD; `None`: no price.
    """

    action: str
    name: str
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What may be expected of an action.

    Attributes:
        action: The action.
        name: The model's name in the policy.
        accepted: The probability that its reply will be accepted.
        quality: The probability that its reply is right.
        lower: A lower bound of that, missed with a probability of .05.
        cost: The expected cost of asking it, USD.
        seen: How many of its replies say so.
    """

    action: str
    name: str
    accepted: float
    quality: float
    lower: float
    cost: float
    seen: int


def guesses(quoted: Sequence[Quoted]) -> dict[str, float]:
    """What is believed of actions nobody ever saw: the dearer the better."""
    return tiers([(one.action, inf if one.cost is None else one.cost) for one in quoted], TIERS)


def outlooks(
    knowledge: Knowledge, key: StepKey, quoted: Sequence[Quoted], threshold: float | None
) -> list[Outlook]:
    """What may be expected of each action, in their order.

    Args:
        knowledge: The tenant's.
        key: The step.
        quoted: Its actions, cheapest first.
        threshold: The confidence it asks for.
    """
    step, guessed = knowledge.step(key), guesses(quoted)
    found = []
    for one in quoted:
        passing = knowledge.pass_rate(key, one.action)
        good = knowledge.quality(key, one.action, guessed[one.action])
        hits, seen = step.accepts(one.action, threshold)
        is_held = step.fitted is not None and threshold is not None
        guess = passing.mean * (good.mean if is_held else 1.0)
        paid = step.cost(one.action) if seen >= _THIN else None
        quoted_cost = inf if one.cost is None else one.cost
        found.append(
            Outlook(
                action=one.action,
                name=one.name,
                accepted=(hits + _KAPPA * guess) / (seen + _KAPPA),
                quality=passing.mean * good.mean,
                lower=passing.lower() * good.lower(),
                cost=quoted_cost if paid is None else paid,
                seen=int(seen),
            )
        )
    return found


def next_action(
    options: Sequence[Outlook],
    in_hand: InHand | None,
    threshold: float | None,
    below: BelowThreshold,
    *,
    drifted: bool = False,
) -> Decision:
    """Choose what to ask next: of all orders the one with the least expected cost.

    Args:
        options: What may still be asked, cheapest first.
        in_hand: The best reply so far, which was not accepted.
        threshold: The confidence to reach.
        below: What happens if none reaches it.
        drifted: Whether what was learned went wrong: then only the best is asked.

    Returns:
        The decision. Before any reply it always is to run an action, if there is one.
    """
    if drifted and options:
        options = [max(options, key=lambda one: (one.quality, one.cost))]
    rule = Threshold(1.0 if threshold is None else threshold, below)
    found = decide([_option(one) for one in options], in_hand, rule)
    if not options or (found.verdict != "run" and in_hand is not None):
        return found
    chosen = found.action if found.verdict == "run" else _best(options).action
    cost = next(one.cost for one in options if one.action == chosen)
    unknown = [one for one in options if one.seen < _THIN and one.cost < cost]
    if unknown and not drifted:
        # A guess may never make an ask dearer: what is cheaper and hardly known is tried first.
        chosen = unknown[0].action
    return Decision("run", chosen, found.scores)


def only_action(options: Sequence[Outlook], threshold: float | None) -> Decision:
    """Choose what to ask where only one can be asked, as for a stream.

    Args:
        options: What may be asked, cheapest first; at least one.
        threshold: The confidence to reach; `None`: there is none, or nothing is calibrated yet.

    Returns:
        The cheapest action whose lower bound reaches the threshold, or else the best one.
    """
    scores = tuple((one.action, one.lower) for one in options)
    if threshold is None:
        return Decision("run", options[0].action, scores)
    feasible = [one for one in options if one.lower >= threshold]
    return Decision("run", (feasible[0] if feasible else _best(options)).action, scores)


def _best(options: Sequence[Outlook]) -> Outlook:
    return max(options, key=lambda one: one.quality)


def _option(outlook: Outlook) -> Option:
    return Option(
        action=outlook.action,
        quality=outlook.quality,
        mean=outlook.quality,
        spread=0.0,
        cost=outlook.cost,
        accepted=outlook.accepted,
    )
