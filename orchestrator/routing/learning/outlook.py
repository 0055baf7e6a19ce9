"""What may be expected of each action of a step, and which to ask next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf

from orchestrator.routing.cascade import BelowThreshold, Decision, InHand, Option, Threshold, decide
from orchestrator.routing.estimate.counts import TIERS, tiers
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Asked, StepKey
from orchestrator.routing.learning.record import Record

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
        cost: What one attempt and the checks of its reply are expected to cost by their prices, in
            USD; `None`: no price.
        is_warm: Whether the task asked it shortly before, so that its provider still holds some of
            the prompt.
        held: The share of its cost that this takes off, as the task's last call of it tells;
            `None`: it tells nothing.
    """

    action: str
    name: str
    cost: float | None
    is_warm: bool = False
    held: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What may be expected of an action.

    Attributes:
        action: The action.
        name: The model's name in the policy.
        accepted: The probability that its reply will be accepted.
        quality: The probability that its reply is right.
        lower: A lower bound of that, missed with a probability of .05.
        cost: The expected cost of asking it, USD: with its retries and checks, with what fails, and
            without what the provider's prompt cache takes off.
        seen: How many of its replies say so.
        cache: The share that the cache takes off: it is lost if another is asked.
        is_warm: Whether it does so because the task asked the same model shortly before.
        seconds: How long it takes on average; `None`: not known.
        in_time: How likely it comes before the task's time is over.
        least_s: In less time than this it hardly comes; 0: not known.
        waiting: What that time is worth by the step's `latency_price`, USD.
    """

    action: str
    name: str
    accepted: float
    quality: float
    lower: float
    cost: float
    seen: int
    cache: float = 0.0
    is_warm: bool = False
    seconds: float | None = None
    in_time: float = 1.0
    least_s: float = 0.0
    waiting: float = 0.0

    @property
    def price(self) -> float:
        """What is compared: money, and time at its price."""
        return self.cost + self.waiting


@dataclass(frozen=True, slots=True)
class Time:
    """What time is left, and what it is worth.

    Attributes:
        left_s: Seconds until the task's time is over; infinite: nothing sets an end.
        price: USD per second of waiting.
    """

    left_s: float = inf
    price: float = 0.0


ENDLESS = Time()
"""Nobody waits, and nothing ends."""


def guesses(quoted: Sequence[Quoted]) -> dict[str, float]:
    """What is believed of actions nobody ever saw: the dearer the better."""
    return tiers([(one.action, inf if one.cost is None else one.cost) for one in quoted], TIERS)


def outlooks(
    knowledge: Knowledge,
    key: StepKey,
    quoted: Sequence[Quoted],
    threshold: float | None,
    time: Time = ENDLESS,
    *,
    asked: Asked | None = None,
) -> list[Outlook]:
    """What may be expected of each action, in their order.

    Args:
        knowledge: The tenant's.
        key: The step.
        quoted: Its actions, cheapest first.
        threshold: The confidence it asks for.
        time: What time is left, and what it is worth.
        asked: What the prompt shows; `None`: nothing is known of it.
    """
    step, guessed = knowledge.step(key), guesses(quoted)
    found = []
    for one in quoted:
        passing = knowledge.pass_rate(key, one.action)
        good = knowledge.quality(key, one.action, guessed[one.action])
        hits, seen = step.accepts(one.action, threshold)
        is_held = step.fitted is not None and threshold is not None
        guess = passing.mean * (good.mean if is_held else 1.0)
        record = step.record(one.action)
        full = record.full if seen >= _THIN else inf if one.cost is None else one.cost
        cache = _cache(one, record)
        odds = 0.0 if step.fitted is None else step.fitted.odds(one.action, asked)
        found.append(
            Outlook(
                action=one.action,
                name=one.name,
                accepted=_moved((hits + _KAPPA * guess) / (seen + _KAPPA), odds),
                quality=_moved(knowledge.overall(key, one.action, guessed[one.action]), odds),
                lower=passing.lower() * _moved(good.lower(), odds),
                cost=full * (1 - cache),
                seen=int(seen),
                cache=cache,
                is_warm=one.is_warm,
                seconds=record.mean_s,
                in_time=record.in_time(time.left_s),
                least_s=record.least_s,
                waiting=(record.mean_s or 0.0) * time.price,
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
    price = next(one.price for one in options if one.action == chosen)
    unknown = [one for one in options if one.seen < _THIN and one.price < price]
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
        cost=outlook.price,
        accepted=outlook.accepted * outlook.in_time,
    )


def _moved(p: float, odds: float) -> float:
    """A probability whose log-odds are moved by so much."""
    return p if not odds or not 0 < p < 1 else 1 / (1 + (1 - p) / p * exp(-odds))


def _cache(one: Quoted, record: Record) -> float:
    """The share of an action's cost that the provider's prompt cache takes off now."""
    if not one.is_warm:
        return record.cold
    if one.held is not None:
        return one.held
    return record.cold if record.warm is None else record.warm
