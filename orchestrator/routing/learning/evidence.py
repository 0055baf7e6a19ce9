"""The features of many cases, computed once and shared by all fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from orchestrator.routing.estimate.features import Endings, Read, compare, read
from orchestrator.routing.estimate.fitting import Codes, Matrix
from orchestrator.routing.learning.cases import Cases, select
from orchestrator.routing.signals.hashing import WIDTH, hashed
from orchestrator.routing.signals.text import prompt_signals


@dataclass(frozen=True, slots=True)
class Evidence:
    """Features by model and by pair of models, each computed when first asked for.

    Attributes:
        table: The questions and the models that take part.
        prompt: What each prompt shows.
        words: The words of each prompt, hashed.
        one_hot: The class of each question.
    """

    table: Cases
    prompt: Matrix
    words: Matrix
    one_hot: Matrix
    _replies: dict[str, list[Read]] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], Matrix] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Cases) -> Evidence:
        """Compute what is known before any reply."""
        words = np.zeros((len(table), WIDTH))
        for row, prompt in enumerate(table.prompts):
            for bucket, value in hashed(prompt).items():
                words[row, bucket] = value
        prompts = np.array([prompt_signals(prompt) for prompt in table.prompts])
        return cls(table, prompts, words, np.eye(len(table.groups))[table.classes])

    def select(self, models: Sequence[int]) -> Evidence:
        """The same for some of the models, in the order given; what was computed is shared."""
        table = select(self.table, models)
        return Evidence(table, self.prompt, self.words, self.one_hot, self._replies, self._pairs)

    def endings(self, model: int, labelled: Codes) -> Endings:
        """How usual each form of ending is among the labelled replies of a model."""
        replies = self._read(model)
        return Endings(dict(Counter(replies[row].ending for row in labelled)), len(labelled))

    def after(self, run: tuple[int, ...], labelled: Codes, *, agree: bool) -> Matrix:
        """What is known once the models of `run` have replied, as `features.dense` orders it."""
        parts, known = [self.prompt], np.isin(np.arange(len(self.table)), labelled)
        for model in run:
            replies, usual = self._read(model), self.endings(model, labelled)
            rows = zip(replies, known, strict=True)
            parts.append(np.array([[*r.signals, usual(r.ending, own=own)] for r, own in rows]))
        parts += [self._pair(one, two) for one, two in combinations(run, 2) if agree]
        return np.hstack(parts)

    def _read(self, model: int) -> list[Read]:
        name = self.table.models[model]
        if name not in self._replies:
            rows = zip(self.table.prompts, self.table.replies, strict=True)
            self._replies[name] = [read(prompt, replies[model]) for prompt, replies in rows]
        return self._replies[name]

    def _pair(self, one: int, two: int) -> Matrix:
        names = self.table.models[one], self.table.models[two]
        if names not in self._pairs:
            rows = zip(self._read(one), self._read(two), strict=True)
            self._pairs[names] = np.array([compare(mine, theirs) for mine, theirs in rows])
        return self._pairs[names]
