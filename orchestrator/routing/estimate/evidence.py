"""What checks say about a reply before there are labels to fit: likelihood ratios, capped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log

_CAP = 3.0
"""The most that one group of checks may move the log-odds: a factor of 20."""
_EDGE = 1e-4


@dataclass(slots=True)
class CheckRecord:
    """How often a check passes replies that are acceptable, and those that are not.

    It begins as a check that is right eight times in ten.
    """

    passed_good: float = 8.0
    failed_good: float = 2.0
    passed_bad: float = 2.0
    failed_bad: float = 8.0

    def observe(self, *, passed: bool, good: bool) -> None:
        """Take in one reply whose outcome became known."""
        name = f"{'passed' if passed else 'failed'}_{'good' if good else 'bad'}"
        setattr(self, name, getattr(self, name) + 1)

    def log_ratio(self, *, passed: bool) -> float:
        """By how much the check moves the log-odds of an acceptable reply."""
        good, bad = self.passed_good, self.passed_bad
        good_all, bad_all = good + self.failed_good, bad + self.failed_bad
        if passed:
            return log(good / good_all) - log(bad / bad_all)
        return log(1 - good / good_all) - log(1 - bad / bad_all)


def posterior(
    prior: float,
    results: Iterable[tuple[str, bool | None]],
    records: Mapping[str, CheckRecord],
    groups: Mapping[str, str] | None = None,
) -> float:
    """The probability that a reply is acceptable, once checks have spoken.

    Args:
        prior: The probability before.
        results: The name of each check, and whether it passed; ``None``: it had nothing to say.
        records: What is known of the checks; one that is missing is taken as new.
        groups: Checks that look at the same thing; of a group only the strongest voice counts, and
            of equals the one against.

    Returns:
        The probability after; no group moves it by more than a factor of 20 in odds.
    """
    loudest: dict[str, float] = {}
    for name, passed in results:
        if passed is None:
            continue
        ratio = records.get(name, CheckRecord()).log_ratio(passed=passed)
        group = (groups or {}).get(name, name)
        loudest[group] = max(loudest.get(group, 0.0), ratio, key=_loudness)
    p = min(max(prior, _EDGE), 1 - _EDGE)
    odds = log(p / (1 - p)) + sum(min(max(value, -_CAP), _CAP) for value in loudest.values())
    return 1 / (1 + exp(-odds))


def _loudness(ratio: float) -> tuple[float, float]:
    return round(abs(ratio), 9), -ratio
