"""One decision for one step: from what is known of the case to what to do next.

A `Router` is what was learned, as plain numbers; it never changes. Fitting makes a new one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from math import sqrt

from orchestrator.routing.cascade import Decision, InHand, Option, Price, Threshold, decide
from orchestrator.routing.estimate.calibration import Calibration
from orchestrator.routing.estimate.features import Endings, Read, dense, read
from orchestrator.routing.estimate.served import Served
from orchestrator.routing.signals.hashing import hashed
from orchestrator.routing.signals.text import prompt_signals

Run = tuple[int, ...]
"""Positions of the models that have replied, ascending."""

_FLAT = 1e-12


@dataclass(frozen=True, slots=True)
class Prospect:
    """What one more model will make of the best reply in hand.

    Attributes:
        added: To the best of the present estimates; one output.
        variance: Of the result, per class; the last is for a class not seen before.
    """

    added: Served
    variance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """What was learned about the models of one step.

    Attributes:
        models: Their names; positions in it are what `Run` is made of.
        classes: The classes of cases by name.
        before: Estimates before any reply: the first model's quality, the others' gain over it.
        after: What is added to those once some models have replied.
        prospects: Per stage and probe.
        endings: How each probe's replies usually end.
        cost: The expected cost per class and model; the last row is for a class not seen before.
        agree: Whether replies are compared with each other.
        calibration: From an estimate to a confidence.
    """

    models: tuple[str, ...]
    classes: Mapping[str, int]
    before: Served
    after: Mapping[Run, Served]
    prospects: Mapping[tuple[Run, int], Prospect]
    endings: Mapping[int, Endings]
    cost: tuple[tuple[float, ...], ...]
    agree: bool
    calibration: Calibration = field(default_factory=Calibration)

    def consider(self, prompt: str, group: str) -> Consideration:
        """Begin with a new case.

        Args:
            prompt: The text that is asked.
            group: Its class; the step's name where there is no finer one.
        """
        signals = prompt_signals(prompt)
        number = self.classes.get(group, -1)
        words = hashed(prompt) if self.before.words else {}
        gains = self.before.predict(number, signals, words)
        return Consideration(self, prompt, number, signals, gains)


@dataclass(slots=True)
class Consideration:
    """One case while it is decided: which models have replied, and what their replies showed.

    Attributes:
        router: What was learned.
        prompt: The text that is asked.
        group: The number of its class, -1: not seen before.
        signals: What the prompt shows.
        gains: What was expected before any reply.
        replies: What was read off the replies, by position of the model.
        returned: The positions of models whose replies no estimate was learned for.
    """

    router: Router
    prompt: str
    group: int
    signals: tuple[float, ...]
    gains: list[float]
    replies: dict[int, Read] = field(default_factory=dict)
    returned: list[int] = field(default_factory=list)

    def observe(self, model: str, reply: str) -> None:
        """Take in a reply: this is where it is read, once."""
        position = self.router.models.index(model)
        if position in self.router.endings:
            self.replies[position] = read(self.prompt, reply)
        else:
            self.returned.append(position)

    def decide(self, rule: Price | Threshold, affordable: Container[str]) -> Decision:
        """Choose the next model, or accept a reply.

        Args:
            rule: What quality may cost, or the confidence to reach.
            affordable: The models that money, time and limits still allow.

        Returns:
            The decision; its actions are names of models.
        """
        router, run = self.router, tuple(sorted(self.replies))
        numbers = dense(
            self.signals,
            [self.replies[model] for model in run],
            [router.endings[model] for model in run],
            agree=router.agree,
        )
        quality = self._quality(run, numbers)
        options = [
            self._option(model, run, quality, numbers)
            for model, name in enumerate(router.models)
            if model not in run and model not in self.returned and name in affordable
        ]
        return decide(options, self._in_hand(run, quality), rule)

    def _quality(self, run: Run, numbers: list[float]) -> list[float]:
        gains = self.gains
        if run:
            added = self.router.after[run].predict(self.group, numbers, {})
            gains = [gain + more for gain, more in zip(gains, added, strict=True)]
        return [gains[0], *(gains[0] + gain for gain in gains[1:])]

    def _in_hand(self, run: Run, quality: list[float]) -> InHand | None:
        if not run and not self.returned:
            return None
        # A model that is no probe was asked because nothing in hand was worth more.
        best = self.returned[-1] if self.returned else max(run, key=lambda m: quality[m])
        confidence = self.router.calibration(quality[best])
        return InHand(self.router.models[best], quality[best], confidence)

    def _option(self, model: int, run: Run, quality: list[float], numbers: list[float]) -> Option:
        mean, spread = quality[model], 0.0
        if prospect := self.router.prospects.get((run, model)):
            mean = max(quality[each] for each in (*run, model))
            mean += prospect.added.predict(self.group, numbers, {})[0]
            spread = sqrt(max(prospect.variance[self.group], _FLAT))
        return Option(
            action=self.router.models[model],
            quality=quality[model],
            mean=mean,
            spread=spread,
            cost=self.router.cost[self.group][model],
        )
