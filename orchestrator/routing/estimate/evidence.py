"""What checks say about a reply before there are labels to fit: likelihood ratios, capped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, log

_CAP = 3.0
"""The most that one group of checks may move the log-odds: a factor of 20."""
_EDGE = 1e-4
_KAPPA = 10.0
"""Replies of a kind that a step needs before its own record of a check weighs as much as all."""


@dataclass(slots=True)
class CheckRecord:
    """How often a check passes replies that are acceptable, and those that are not.

    It begins as a check that is right eight times in ten.
    """

    passed_good: float = 8.0
    failed_good: float = 2.0
    passed_bad: float = 2.0
    failed_bad: float = 8.0

    def observe(self, *, passed: bool, good: bool, times: int = 1) -> None:
        """Take in one reply whose outcome became known; -1 times: it turned out to be another."""
        name = f"{'passed' if passed else 'failed'}_{'good' if good else 'bad'}"
        setattr(self, name, getattr(self, name) + times)

    @property
    def replies(self) -> int:
        """How many there are of both kinds."""
        return round(self.passed_good + self.failed_good + self.passed_bad + self.failed_bad)

    @property
    def passes_good(self) -> float:
        """The share of acceptable replies that it passes."""
        return self.passed_good / (self.passed_good + self.failed_good)

    @property
    def passes_bad(self) -> float:
        """The share of the others that it passes."""
        return self.passed_bad / (self.passed_bad + self.failed_bad)

    def log_ratio(self, *, passed: bool) -> float:
        """By how much the check moves the log-odds of an acceptable reply."""
        good, bad = self.passes_good, self.passes_bad
        return log(good) - log(bad) if passed else log(1 - good) - log(1 - bad)


@dataclass(slots=True)
class CheckBook:
    """What the checks of one tenant turned out to be worth.

    A check is known by its name in all steps; what it did in one step counts for more there, once
    there is some of it.

    Attributes:
        everywhere: What each check did in all steps.
        here: The same by step and check, nothing assumed.
    """

    everywhere: dict[str, CheckRecord] = field(default_factory=dict)
    here: dict[tuple[str, str], CheckRecord] = field(default_factory=dict)

    def observe(self, step: str, name: str, *, passed: bool, good: bool, times: int = 1) -> None:
        """Take in what a check said of a reply whose outcome became known; see `CheckRecord`."""
        for record in (
            self.everywhere.setdefault(name, CheckRecord()),
            self.here.setdefault((step, name), CheckRecord(0.0, 0.0, 0.0, 0.0)),
        ):
            record.observe(passed=passed, good=good, times=times)

    def records(self, step: str, names: Iterable[str]) -> dict[str, CheckRecord]:
        """What is known of these checks in a step, drawn to what they are worth everywhere."""
        return {name: self._drawn(step, name) for name in names}

    def _drawn(self, step: str, name: str) -> CheckRecord:
        general, own = self.everywhere.get(name, CheckRecord()), self.here.get((step, name))
        if own is None:
            return general
        return CheckRecord(
            own.passed_good + _KAPPA * general.passes_good,
            own.failed_good + _KAPPA * (1 - general.passes_good),
            own.passed_bad + _KAPPA * general.passes_bad,
            own.failed_bad + _KAPPA * (1 - general.passes_bad),
        )


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
