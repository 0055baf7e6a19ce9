"""What a prompt says before any reply: who is asked first, once outcomes bear it out."""

import random

import pytest

from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import (
    Asked,
    Observation,
    Outcome,
    StepKey,
    signals_of,
)
from orchestrator.routing.learning.outlook import Quoted, next_action, outlooks

pytest.importorskip("numpy")

KEY = StepKey("a", "s", "v")
QUOTED = [
    Quoted(action="small", name="small", cost=1.0),
    Quoted(action="large", name="large", cost=4.0),
]
EASY, HARD = "add up the apples and the pears", "prove the theorem about compact manifolds"


def learned(count, right, *, kept=lambda number: True):
    """Simulated: every question to both models, half of them easy; ``right`` by model and kind."""
    source, knowledge = random.Random(3), Knowledge()
    for number in range(count):
        is_easy = source.random() < 0.5
        prompt = f"{EASY if is_easy else HARD}, question {number}"
        signals, ending = signals_of(prompt, "so it is")
        words = Asked.of(prompt).words if kept(number) else {}
        for action in ("small", "large"):
            seen = Observation(
                attempt_id=f"{action}{number}",
                ask=f"{action} {number}",
                agent="a",
                step="s",
                version="v",
                action=action,
                passed=True,
                signals=signals,
                ending=ending,
                threshold=0.7,
                words=words,
                cost=1.0 if action == "small" else 4.0,
            )
            knowledge.fold(seen)
            score = float(source.random() < right(action, is_easy))
            knowledge.fold(Outcome(attempt_id=seen.attempt_id, score=score, source="user"))
    knowledge.settle()
    return knowledge


def by_kind(action, is_easy):
    return 0.95 if is_easy else 0.05 if action == "small" else 0.9


def first(knowledge, prompt):
    asked = None if prompt is None else Asked.of(prompt)
    found = outlooks(knowledge, KEY, QUOTED, 0.7, asked=asked)
    return next_action(found, None, 0.7, "best").action


def test_a_prompt_that_the_small_model_fails_goes_to_the_large_one_at_once():
    knowledge = learned(250, by_kind)
    assert first(knowledge, f"{EASY}, please") == "small"
    assert first(knowledge, f"{HARD}, please") == "large"
    assert first(knowledge, None) == "small", "by averages alone the small one is tried first"


def test_a_reply_is_trusted_by_what_was_asked_too():
    knowledge = learned(250, by_kind)
    worth = []
    for prompt in (EASY, HARD):
        signals, ending = signals_of(prompt, "so it is")
        seen = Observation(
            attempt_id="x",
            ask="x",
            agent="a",
            step="s",
            version="v",
            action="small",
            passed=True,
            signals=signals,
            ending=ending,
            words=Asked.of(prompt).words,
        )
        worth.append(knowledge.step(KEY).confidence(seen))
    assert worth[0] > 0.8
    assert worth[1] < 0.4


def test_what_labels_do_not_bear_out_moves_nothing():
    knowledge = learned(250, lambda action, is_easy: 0.6)
    fitted = knowledge.step(KEY).fitted
    assert abs(fitted.odds("small", Asked.of(HARD))) < 0.3


@pytest.mark.parametrize(("count", "kept"), [(90, 1), (250, 0), (250, 6)])
def test_too_few_prompts_that_are_known_say_nothing(count, kept):
    knowledge = learned(count, by_kind, kept=lambda number: bool(kept) and number % kept == 0)
    assert knowledge.step(KEY).fitted.before is None
    assert first(knowledge, HARD) == first(knowledge, EASY)


def test_where_it_is_not_known_what_was_asked_averages_hold():
    fitted = learned(250, by_kind).step(KEY).fitted
    assert fitted.odds("small", Asked((), {})) == 0
    assert fitted.odds("small", None) == 0
    assert fitted.odds("another", Asked.of(HARD)) == 0


def test_a_prompt_moves_odds_by_a_factor_of_twenty_at_the_most():
    fitted = learned(250, by_kind).step(KEY).fitted
    for prompt in (EASY, HARD, "", "x" * 10_000, "\ud800"):
        assert abs(fitted.odds("small", Asked.of(prompt))) <= 3
