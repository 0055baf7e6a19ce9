"""Fit the served model: class means first, then a ridge on what is left over. Needs numpy.

Every prediction that a choice is later tuned on is a leave-one-out prediction, in closed form, so
that one labelled sample serves for fitting and for choosing without flattering itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

KAPPAS = (1.0, 3.0, 10.0, 30.0, 100.0, 1e9)
"""Pseudo-observations that hold a class mean at its parent; the last ignores classes."""
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Ridge penalties, for blocks of unit variance in all."""


@dataclass(frozen=True, slots=True)
class Block:
    """Features that share a scale: centred, and divided so that their variances add up to one."""

    centre: Matrix
    scale: Matrix

    @classmethod
    def of(cls, raw: Matrix, *, standardise: bool) -> Block:
        """Learn centre and scale; `standardise` gives every feature the same weight."""
        centre, spread = raw.mean(axis=0), raw.std(axis=0)
        if not standardise:
            return cls(centre, np.full_like(spread, max(np.sqrt((spread**2).sum()), 1e-9)))
        live = spread > 1e-9  # noqa: PLR2004 - a constant carries nothing
        return cls(centre, np.where(live, spread, np.inf) * np.sqrt(max(1, live.sum())))

    def apply(self, raw: Matrix) -> Matrix:
        """The features on the learned scale; far outliers are cut so that none decides alone."""
        return np.clip((raw - self.centre) / self.scale, -1.5, 1.5)


@dataclass(frozen=True, slots=True)
class ClassMeans:
    """Shrunken means per class and target; the last row is for a class never seen."""

    table: Matrix
    left_out: Matrix

    @classmethod
    def fit(cls, classes: Codes, count: int, targets: Matrix) -> ClassMeans:
        """Shrink towards the mean of all, with the kappa that predicts left-out labels best."""
        size = np.bincount(classes, minlength=count).astype(float)[:, None]
        total = np.stack([np.bincount(classes, t, count) for t in targets.T], axis=1)
        n, everything = len(targets), targets.sum(axis=0)
        rest = (everything - targets) / max(1, n - 1)
        best = np.full(targets.shape[1], np.inf)
        table, left_out = np.empty((count + 1, targets.shape[1])), np.empty_like(targets)
        for kappa in KAPPAS:
            loo = (total[classes] - targets + kappa * rest) / (size[classes] - 1 + kappa)
            error = ((targets - loo) ** 2).mean(axis=0)
            better = error < best
            best = np.where(better, error, best)
            means = (total + kappa * everything / n) / (size + kappa)
            table[:-1, better], left_out[:, better] = means[:, better], loo[:, better]
        table[-1] = everything / n
        return cls(table, left_out)


@dataclass(frozen=True, slots=True)
class Ridge:
    """What features add to a prior estimate, and leave-one-out predictions of its labels."""

    blocks: tuple[Block, ...]
    weights: Matrix
    left_out: Matrix

    def predict(self, raw: Sequence[Matrix]) -> Matrix:
        """What to add to the prior of new rows, one column per target."""
        return join(self.blocks, raw) @ self.weights


def join(blocks: Sequence[Block], raw: Sequence[Matrix]) -> Matrix:
    """All blocks side by side, on their learned scales."""
    return np.hstack([block.apply(each) for block, each in zip(blocks, raw, strict=True)])


def fit(raw: Sequence[Matrix], blocks: Sequence[Block], rest: Matrix, nested: Sequence[int]) -> Ridge:
    """Fit all targets at once; each takes the number of blocks and the penalty that suit it.

    Args:
        raw: Blocks of features of the labelled rows.
        blocks: Their scales.
        rest: One column per target: what the prior leaves to explain.
        nested: Each entry says how many of the blocks one candidate model uses.

    Returns:
        The fit; the weights of a target that no feature helps are zero.
    """
    features = join(blocks, raw)
    ends = np.cumsum([each.shape[1] for each in raw])
    nothing = (rest**2).mean(axis=0)
    vote = _Vote(np.zeros((features.shape[1], rest.shape[1])), np.zeros_like(rest), nothing)
    for depth in nested:
        part = features[:, : ends[depth - 1]]
        values, vectors = np.linalg.eigh(part.T @ part)
        scores = part @ vectors
        image = scores.T @ rest
        for penalty in PENALTIES:
            shrunk = image / (np.maximum(values, 0) + penalty)[:, None]
            leverage = scores**2 @ (1 / (np.maximum(values, 0) + penalty))
            loo = rest - (rest - scores @ shrunk) / (1 - leverage)[:, None]
            vote.add(vectors @ shrunk, loo, ((rest - loo) ** 2).mean(axis=0))
    weights, left_out = vote.result()
    return Ridge(tuple(blocks), weights, left_out)


class _Vote:
    """Average of the candidates, each by how much likelier it makes the left-out labels.

    Choosing the single best on few labels is a gamble; the average of linear models is one.
    """

    def __init__(self, weights: Matrix, left_out: Matrix, error: Matrix) -> None:
        self._candidates = [(weights, left_out, error)]

    def add(self, weights: Matrix, left_out: Matrix, error: Matrix) -> None:
        padded = np.zeros_like(self._candidates[0][0])
        padded[: len(weights)] = weights
        self._candidates.append((padded, left_out, error))

    def result(self) -> tuple[Matrix, Matrix]:
        errors = np.stack([error for _, _, error in self._candidates])
        least = np.maximum(errors.min(axis=0), 1e-12)
        log_weight = (least - errors) / least * len(self._candidates[0][1]) / 2
        share = np.exp(log_weight)
        share /= share.sum(axis=0)
        weights = sum(s * w for s, (w, _, _) in zip(share, self._candidates, strict=True))
        left_out = sum(s * l for s, (_, l, _) in zip(share, self._candidates, strict=True))
        return np.asarray(weights), np.asarray(left_out)
