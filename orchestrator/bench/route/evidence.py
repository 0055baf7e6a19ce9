"""The features of a whole table, computed once and shared by all seeds."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import log

import numpy as np

from orchestrator.bench.route.table import Table
from orchestrator.routing.estimate.features import agreement, evidence, read
from orchestrator.routing.estimate.fitting import Codes, Matrix
from orchestrator.routing.signals.hashing import WIDTH, ending, hashed
from orchestrator.routing.signals.structure import Structure
from orchestrator.routing.signals.text import prompt_signals


class Evidence:
    """Features by model and by pair of models, each computed when first asked for."""

    def __init__(self, table: Table) -> None:
        """Compute what is known before any reply."""
        self.table = table
        self.prompt: Matrix = np.array([prompt_signals(prompt) for prompt in table.prompts])
        self.text: Matrix = np.zeros((len(table), WIDTH))
        for row, prompt in enumerate(table.prompts):
            for bucket, value in hashed(prompt).items():
                self.text[row, bucket] = value
        self.one_hot: Matrix = np.eye(len(table.groups))[table.classes]
        self._structures: dict[int, list[Structure | None]] = {}
        self._replies: dict[int, Matrix] = {}
        self._endings: dict[int, list[str]] = {}
        self._pairs: dict[tuple[int, int], Matrix] = {}

    def structures(self, model: int) -> list[Structure | None]:
        """The calls that each reply of a model makes."""
        if model not in self._structures:
            self._structures[model] = [read(replies[model]) for replies in self.table.replies]
        return self._structures[model]

    def reply(self, model: int) -> Matrix:
        """What each reply of a model shows about itself."""
        if model not in self._replies:
            rows = zip(self.table.prompts, self.table.replies, self.structures(model), strict=True)
            self._replies[model] = np.array([evidence(p, r[model], s) for p, r, s in rows])
            self._endings[model] = [ending(replies[model]) for replies in self.table.replies]
        return self._replies[model]

    def usual(self, model: int, labelled: Codes) -> Matrix:
        """How usual the form of each reply's ending is among the labelled ones."""
        self.reply(model)
        endings = self._endings[model]
        seen = Counter(endings[row] for row in labelled)
        return np.array([[log((seen[each] + 1) / (len(labelled) + 1))] for each in endings])

    def pair(self, one: int, two: int) -> Matrix:
        """How far the replies of two models agree."""
        if (one, two) not in self._pairs:
            rows = zip(
                self.table.replies, self.structures(one), self.structures(two), strict=True
            )
            self._pairs[one, two] = np.array([agreement(r[one], r[two], (a, b)) for r, a, b in rows])
        return self._pairs[one, two]

    def after(self, run: tuple[int, ...], labelled: Codes, *, agree: bool) -> Matrix:
        """What is known once the models of `run` have replied."""
        parts = [part for m in run for part in (self.reply(m), self.usual(m, labelled))]
        parts += [self.pair(one, two) for one, two in combinations(run, 2) if agree]
        return np.hstack([self.prompt, *parts])
