"""What replies show, fitted to their outcomes. Needs numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.routing.estimate.fitting import Block, ClassMeans, fit
from orchestrator.routing.learning.export import served
from orchestrator.routing.learning.fitted import Fitted
from orchestrator.routing.learning.observation import Observation

Label = tuple[Observation, float]


def shaped(labels: Sequence[Label], actions: Mapping[str, int]) -> tuple[Fitted, list[float]]:
    """Fit means per action and a ridge on what the replies showed.

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
    dense = np.array([plain.dense(reply, own=True) for reply, _ in labels])
    raw = [dense, np.eye(len(actions))[classes]]
    ridge = fit(raw, [Block.dense(raw[0]), Block.sparse(raw[1])], targets - means.left_out)
    left_out = (means.left_out + ridge.left_out)[:, 0]
    return (
        Fitted(
            actions=actions,
            checks=checks,
            endings=endings,
            quality=served(means.table, ridge),
            labels=len(labels),
        ),
        [float(each) for each in left_out],
    )
