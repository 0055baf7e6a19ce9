"""Fit the confidence of one step to the outcomes of its replies.

With numpy the expected outcome is a mean per action and a ridge on what the replies showed; without
it the means alone. Either is calibrated on leave-one-out estimates, so that one small sample serves
for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec

from orchestrator.routing.estimate.calibration import fit as calibrate
from orchestrator.routing.estimate.calibration import in_levels
from orchestrator.routing.estimate.served import Served
from orchestrator.routing.learning.fitted import Fitted
from orchestrator.routing.learning.observation import Observation

NEWEST = 1000
"""Outcomes that a fit looks at, the newest."""
_KAPPA = 10.0
_SHAPED = 60
"""Outcomes from which replies are told apart by what they show; fewer cannot say what counts."""

Label = tuple[Observation, float]


def refit(
    labels: Sequence[Label], guesses: Mapping[str, float], threshold: float | None = None
) -> Fitted:
    """Fit to these replies and outcomes.

    Args:
        labels: In the order in which the outcomes became known; at least one. All of replies that
            passed their checks.
        guesses: For every action that may be asked, what is believed of it without these outcomes.
        threshold: The confidence that decides whether a reply is accepted.

    Returns:
        What serves. An action without an outcome keeps its guess.
    """
    labels = labels[-NEWEST:]
    width = Counter(len(reply.signals) for reply, _ in labels).most_common(1)[0][0]
    labels = [label for label in labels if len(label[0].signals) == width]
    actions = {
        name: number
        for number, name in enumerate(
            sorted({*(reply.action for reply, _ in labels), *guesses}),
        )
    }
    if len(labels) >= _SHAPED and find_spec("numpy") is not None:
        from orchestrator.routing.learning.shape import shaped  # noqa: PLC0415 - numpy, when used

        fitted, left_out = shaped(labels, actions)
    else:
        fitted, left_out = _means(labels, actions)
    known = {reply.action for reply, _ in labels}
    unknown = {number: guesses[name] for name, number in actions.items() if name not in known}
    outcomes = [outcome for _, outcome in labels]
    calibration = in_levels(calibrate(left_out, outcomes), left_out, threshold)
    return replace(fitted.guessing(unknown), calibration=calibration)


def _means(labels: Sequence[Label], actions: Mapping[str, int]) -> tuple[Fitted, list[float]]:
    """A mean per action, drawn to the mean of all; and each label's, had it not been there."""
    whole = sum(outcome for _, outcome in labels)
    count = len(labels)
    sums, sizes = [0.0] * len(actions), [0] * len(actions)
    for reply, outcome in labels:
        sums[actions[reply.action]] += outcome
        sizes[actions[reply.action]] += 1
    mean = whole / count
    base = [(s + _KAPPA * mean) / (n + _KAPPA) for s, n in zip(sums, sizes, strict=True)]
    left_out = []
    for reply, outcome in labels:
        number = actions[reply.action]
        rest = (whole - outcome) / max(1, count - 1)
        left_out.append((sums[number] - outcome + _KAPPA * rest) / (sizes[number] - 1 + _KAPPA))
    served = Served(base=(*((each,) for each in base), (mean,)))
    return Fitted(actions=actions, quality=served, labels=count), left_out
