from __future__ import annotations

import random
from math import isclose
from statistics import median

import pytest

from orchestrator.routing.drift import DriftAlarm


def _labels_until_alarm(source, alpha, rate, most, good_before=0):
    alarm = DriftAlarm(alpha=alpha)
    for _ in range(good_before):
        alarm.observe(wrong=source.random() < alpha)
    for label in range(1, most + 1):
        if alarm.observe(wrong=source.random() < rate):
            return label
    return None


@pytest.mark.parametrize("alpha", [0.05, 0.10])
def test_twice_the_error_is_found_within_200_labels(alpha):
    source = random.Random(1)
    found = [_labels_until_alarm(source, alpha, 2 * alpha, 1_000) or 1_000 for _ in range(200)]
    assert median(found) <= 200


@pytest.mark.parametrize("alpha", [0.05, 0.10])
def test_false_alarms_stay_below_one_in_twenty(alpha):
    source = random.Random(2)
    false = sum(_labels_until_alarm(source, alpha, alpha, 2_000) is not None for _ in range(200))
    assert false <= 10


def test_a_long_good_time_does_not_put_the_alarm_to_sleep():
    source = random.Random(4)
    found = [_labels_until_alarm(source, 0.1, 0.3, 400, good_before=500) for _ in range(40)]
    assert median(label or 400 for label in found) <= 100


def test_capital_is_a_fair_bet_at_the_promised_rate():
    # The expectation of the next capital, over both outcomes, is the present one.
    alarm = DriftAlarm(alpha=0.1)
    for wrong in [False] * 130 + [True] * 2:
        alarm.observe(wrong=wrong)
    expected = 0.0
    for wrong, chance in ((True, 0.1), (False, 0.9)):
        after = DriftAlarm(alpha=0.1, labels=alarm.labels, bets=[list(bet) for bet in alarm.bets])
        after.observe(wrong=wrong)
        expected += chance * after.capital
    assert isclose(expected, alarm.capital, rel_tol=1e-12)


def test_alarm_stays_raised():
    alarm = DriftAlarm(alpha=0.05)
    while not alarm.observe(wrong=True):
        pass
    for _ in range(500):
        assert alarm.observe(wrong=False)
