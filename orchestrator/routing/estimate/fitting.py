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

KAPPAS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Pseudo-observations that hold a class mean at its parent."""
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Ridge penalties, for blocks of unit variance in all."""
_CERTAIN = 3.5
"""Deviations of a normal law by which the best of all candidates must stand out in a few labels:
without any order one draw in a thousand does. An order that is none loses as much as a weak one
gains."""
_LIKELY = 1.645
"""The same in any number of labels: one normal number in twenty stands out so far."""
_DOUBT = 700
"""Labels that show no order, as if they had come before: what they leave of the deviations counts.
By chance alone the order of many labels is a weak one, which costs little."""
_FEWEST = 10
"""Labels below which nothing is borne out: moments say little of so short a tail."""
_TINY = 1e-12
_OUTLIER = 4.0
"""Standard deviations at which dense features are cut: one odd reply decides nothing alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """Features that share a scale: centred, and divided so that their variances add up to one."""

    centre: Matrix
    scale: Matrix
    limit: float

    @classmethod
    def dense(cls, raw: Matrix) -> Block:
        """Numbers of all kinds: each gets the same weight, and outliers are cut."""
        centre, spread = raw.mean(axis=0), raw.std(axis=0)
        live = spread > 1e-9  # noqa: PLR2004 - a constant carries nothing
        root = float(np.sqrt(max(1, live.sum())))
        return cls(centre, np.where(live, spread, np.inf) * root, _OUTLIER / root)

    @classmethod
    def sparse(cls, raw: Matrix) -> Block:
        """Classes or words: what is seen more often weighs more."""
        spread = np.sqrt(raw.var(axis=0).sum())
        return cls(raw.mean(axis=0), np.full(raw.shape[1], max(spread, 0.3)), np.inf)

    def apply(self, raw: Matrix) -> Matrix:
        """The features on the learned scale."""
        return np.clip((raw - self.centre) / self.scale, -self.limit, self.limit)


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
        apart, hidden = np.eye(count)[classes] - size.T / n, np.ones(targets.shape[1], dtype=bool)
        for kappa in KAPPAS:
            loo = (total[classes] - targets + kappa * rest) / (size[classes] - 1 + kappa)
            error = ((targets - loo) ** 2).mean(axis=0)
            better = error < best
            best = np.where(better, error, best)
            means = (total + kappa * everything / n) / (size + kappa)
            table[:-1, better], left_out[:, better] = means[:, better], loo[:, better]
            features = apart / np.sqrt(size.T + kappa)
            kernel = np.linalg.eigvalsh(features.T @ features).astype(np.float64)
            hidden &= ~borne_out(kernel, ((features.T @ targets) ** 2).sum(axis=0), targets)
        table[-1] = everything / n
        table[:, hidden], left_out[:, hidden] = table[-1, hidden], rest[:, hidden]
        return cls(table, left_out)


def borne_out(kernel: Matrix, along: Matrix, targets: Matrix) -> NDArray[np.bool_]:
    """Which targets lie along some features by more than chance would have it, one per column.

    What labels do not bear out is not acted on: an order made of noise is worse than none. Left-out
    predictions cannot say it, for all of them are chosen on the same labels. What can is the share
    of a target that a fit `K` explains, ``t' K t / t' t``: if features and target have nothing to
    do with each other, `t` points anywhere, and the law of that share has known moments. It is
    taken for a gamma law with the same first three (as by Liu et al. 2007 for kernels), and that
    for the cube of a normal one (Wilson and Hilferty 1931).

    Args:
        kernel: The eigenvalues of `K`, which is of centred features.
        along: ``t' K t`` for each centred target `t`.
        targets: One column per target, centred or not.
    """
    n, spread = len(targets) - 1, ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    if n < _FEWEST:
        return np.zeros(len(along), dtype=np.bool_)
    one, two, three = (float((kernel**power).sum()) for power in (1, 2, 3))
    variance = 2 * (n * two - one**2) / (n**2 * (n + 2))
    third = 8 * (n**2 * three - 3 * n * one * two + 2 * one**3) / (n**3 * (n + 2) * (n + 4))
    if min(variance, third) < _TINY:
        return np.zeros(len(along), dtype=np.bool_)
    freedom = 8 * variance**3 / third**2
    share = along / np.maximum(spread, _TINY)
    gamma = 1 + (share - one / n) * np.sqrt(2 / (freedom * variance))
    normal = (np.cbrt(np.maximum(gamma, 0)) - 1 + 2 / (9 * freedom)) / np.sqrt(2 / (9 * freedom))
    bar = min(_CERTAIN, _LIKELY * np.sqrt(1 + _DOUBT / len(targets)))
    return np.asarray(normal > bar, dtype=np.bool_)


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


def fit(raw: Sequence[Matrix], blocks: Sequence[Block], rest: Matrix) -> Ridge:
    """Fit all targets at once, over the first block, the first two, and so on.

    Args:
        raw: Blocks of features of the labelled rows.
        blocks: Their scales.
        rest: One column per target: what the prior leaves to explain.

    Returns:
        The average of the candidates (which blocks, which penalty, or nothing at all), each by
        how likely it makes the left-out labels. Choosing one of them on few labels is a gamble.
    """
    features = join(blocks, raw)
    nothing = (rest**2).mean(axis=0)
    vote = _Vote(np.zeros((features.shape[1], rest.shape[1])), np.zeros_like(rest), nothing)
    centred, keep = rest - rest.mean(axis=0), np.zeros(rest.shape[1], dtype=bool)
    for end in np.cumsum([each.shape[1] for each in raw]):
        part = features[:, :end]
        values, vectors = np.linalg.eigh(part.T @ part)
        values, scores = np.maximum(values, 0), part @ vectors
        image, along = scores.T @ rest, (scores.T @ centred) ** 2
        for penalty in PENALTIES:
            held = values + penalty
            shrunk = image / held[:, None]
            leverage = scores**2 @ (1 / held)
            loo = rest - (rest - scores @ shrunk) / (1 - leverage)[:, None]
            vote.add(vectors @ shrunk, loo, ((rest - loo) ** 2).mean(axis=0))
            keep |= borne_out(values / held, (along / held[:, None]).sum(axis=0), rest)
    weights, left_out = vote.result()
    return Ridge(tuple(blocks), weights * keep, left_out * keep)


class _Vote:
    def __init__(self, weights: Matrix, left_out: Matrix, error: Matrix) -> None:
        self._candidates = [(weights, left_out, error)]

    def add(self, weights: Matrix, left_out: Matrix, error: Matrix) -> None:
        padded = np.zeros_like(self._candidates[0][0])
        padded[: len(weights)] = weights
        self._candidates.append((padded, left_out, error))

    def result(self) -> tuple[Matrix, Matrix]:
        weights, left_out, errors = (np.stack(part) for part in zip(*self._candidates, strict=True))
        least = np.maximum(errors.min(axis=0), 1e-12)
        share = np.exp((least - errors) / least * left_out.shape[1] / 2)
        share /= share.sum(axis=0)
        return (share[:, None] * weights).sum(axis=0), (share[:, None] * left_out).sum(axis=0)
