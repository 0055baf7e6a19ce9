from __future__ import annotations

import numpy as np
import pytest

from orchestrator.routing.estimate.features import Endings
from orchestrator.routing.estimate.fitting import Block, ClassMeans, fit

TARGETS = 150
"""Fitted at once; each is a draw of its own."""


def acted_on(labels, classes, width, signal, seed):
    """For each target whether class means, and whether a ridge, order cases by it. Simulated."""
    random = np.random.default_rng(seed)
    group = random.integers(classes, size=labels)
    # Numbers that go together, as those that are read off one reply do.
    shown = random.standard_normal((labels, 6)) @ random.standard_normal((6, width))
    shown += random.standard_normal((labels, width))
    chance = 0.5 + signal * np.sign(shown[:, :1]) + signal * np.sign(group[:, None] - classes / 2)
    strong = random.random((labels, TARGETS)) < 0.85
    gain = strong - (random.random((labels, TARGETS)) < chance).astype(float)
    means = ClassMeans.fit(group, classes, gain)
    raw = [shown, np.eye(classes)[group]]
    ridge = fit(raw, [Block.dense(shown), Block.sparse(raw[1])], gain - gain.mean(axis=0))
    return np.ptp(means.table, axis=0) > 0, np.any(ridge.weights, axis=0)


@pytest.mark.parametrize(("labels", "classes", "width"), [(100, 3, 20), (150, 40, 30)])
def test_one_draw_of_noise_in_a_thousand_is_acted_on(labels, classes, width):
    draws = [acted_on(labels, classes, width, 0.0, seed) for seed in range(20)]
    for found in np.concatenate(draws, axis=1):
        assert found.mean() <= 0.003


def test_many_labels_need_not_speak_so_clearly():
    """Noise comes through more often then, for the order it makes is a weak one."""
    noise = np.concatenate([acted_on(1_500, 57, 20, 0.0, seed) for seed in range(4)], axis=1)
    assert np.all(noise.mean(axis=1) <= 0.1)
    classes, _ = acted_on(1_500, 57, 20, 0.1, 0)
    assert classes.mean() > 0.8
    classes, _ = acted_on(200, 57, 20, 0.1, 0)
    assert classes.mean() < 0.1


def test_what_there_is_to_see_is_acted_on():
    classes, shown = acted_on(200, 3, 20, 0.2, 0)
    assert classes.mean() > 0.8
    assert shown.mean() > 0.8


def test_nothing_is_borne_out_by_a_handful_of_labels():
    target = np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]])
    means = ClassMeans.fit(np.array([0, 0, 0, 1, 1, 1]), 2, target)
    assert np.all(means.table == 0.5)


def test_a_reply_does_not_vouch_for_its_own_ending():
    usual = Endings({"= #": 1, "So #.": 3}, 4)
    assert usual("= #", own=True) == pytest.approx(np.log(1 / 4))
    assert usual("= #") == pytest.approx(np.log(2 / 5))
    assert usual("= #", own=True) < usual("So #.", own=True)
