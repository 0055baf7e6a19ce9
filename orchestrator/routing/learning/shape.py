"""What prompts and replies show, fitted to outcomes. Needs numpy.

Staged as `learning.estimates` is: means per action, then what the prompt adds, then what the reply
does; each stage is fitted to what leave-one-out estimates of the one before leave to explain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.routing.estimate.fitting import Block, ClassMeans, Codes, Matrix, Ridge, fit
from orchestrator.routing.learning.estimates import MANY
from orchestrator.routing.learning.export import served
from orchestrator.routing.learning.fitted import Before, Fitted
from orchestrator.routing.learning.observation import Observation
from orchestrator.routing.signals.hashing import WIDTH
from orchestrator.routing.signals.text import PROMPT

Label = tuple[Observation, float]


def shaped(labels: Sequence[Label], actions: Mapping[str, int]) -> tuple[Fitted, list[float]]:
    """Fit means per action and ridges on what prompts and replies showed.

    Args:
        labels: Replies with their outcomes.
        actions: The position of each action.

    Returns:
        What serves, not calibrated; and each label's estimate, had it not been there.
    """
    checks = tuple(sorted({name for reply, _ in labels for name in reply.checks}))
    endings = {
        action: dict(Counter(reply.ending for reply, _ in labels if reply.action == action))
        for action in actions
    }
    classes = np.array([actions[reply.action] for reply, _ in labels], dtype=np.int64)
    targets = np.array([[outcome] for _, outcome in labels])
    means = ClassMeans.fit(classes, len(actions), targets)
    plain = Fitted(
        actions=actions,
        checks=checks,
        endings=endings,
        quality=served(means.table, None),
        labels=len(labels),
    )
    one_hot = np.eye(len(actions))[classes]
    asked, left_out = _asked(labels, one_hot, targets - means.left_out)
    left_out = means.left_out + left_out
    raw = [np.array([plain.dense(reply, own=True) for reply, _ in labels]), one_hot]
    ridge = fit(raw, [Block.dense(raw[0]), Block.sparse(raw[1])], targets - left_out)
    before, base = None, means.table
    if asked is not None:
        before = Before(served(means.table, asked), tuple(map(float, means.table[:, 0])))
        base = np.zeros_like(base)
    fitted = Fitted(
        actions=actions,
        checks=checks,
        endings=endings,
        quality=served(base, ridge),
        before=before,
        labels=len(labels),
    )
    return fitted, [float(each) for each in (left_out + ridge.left_out)[:, 0]]


def _asked(labels: Sequence[Label], one_hot: Matrix, rest: Matrix) -> tuple[Ridge | None, Matrix]:
    """What prompts add to the means: the fit, and what it adds to each label, left out.

    ``None``: of too few it is known what was asked, or it does not show.
    """
    added = np.zeros_like(rest)
    rows: Codes = np.flatnonzero([bool(reply.words) for reply, _ in labels])
    if len(rows) < MANY:
        return None, added
    words = np.zeros((len(rows), WIDTH))
    for place, row in enumerate(rows):
        for bucket, value in labels[row][0].words.items():
            words[place, bucket] = value
    signals = np.array([labels[row][0].signals[: len(PROMPT)] for row in rows])
    raw = [signals, one_hot[rows], words]
    blocks = [Block.dense(signals), Block.sparse(raw[1]), Block.sparse(words)]
    ridge = fit(raw, blocks, rest[rows])
    if not np.any(ridge.weights):
        return None, added
    added[rows] = ridge.left_out
    return ridge, added
