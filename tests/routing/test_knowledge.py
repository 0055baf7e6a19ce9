"""What a log teaches: the same to whoever folds it, and no more than it bears out."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Observation, Outcome, StepKey
from orchestrator.routing.learning.outlook import Quoted, next_action, only_action, outlooks
from orchestrator.routing.learning.step import CERTIFIED_FOR, is_kept_out

KEY = StepKey("a", "s", "v")
QUOTED = [
    Quoted(action="small", name="small", cost=1.0),
    Quoted(action="large", name="large", cost=10.0),
]


def reply(number, action="small", **fields):
    made = {"threshold": 0.8, "passed": True, "cost": 1.0 if action == "small" else 10.0}
    return Observation(
        attempt_id=f"{action}-{number}",
        ask=f"ask-{number}",
        agent="a",
        step="s",
        version="v",
        action=action,
        **{**made, **fields},
    )


def told(knowledge, count, score, action="small", *, since=0, source="user", **fields):
    for number in range(since, since + count):
        seen = reply(number, action, **fields)
        knowledge.fold(seen)
        knowledge.fold(Outcome(attempt_id=seen.attempt_id, score=score(number), source=source))
        knowledge.settle()


def chosen(knowledge):
    found = outlooks(knowledge, KEY, QUOTED, 0.8)
    return next_action(found, None, 0.8, "best", drifted=knowledge.step(KEY).drifted).action


def test_thirty_outcomes_make_a_probability_of_a_confidence():
    knowledge = Knowledge()
    told(knowledge, 29, lambda n: float(n % 2))
    assert knowledge.step(KEY).state == "uncalibrated"
    told(knowledge, 1, lambda n: 1.0, since=29)
    assert knowledge.step(KEY).state == "calibrated"
    assert knowledge.step(KEY).confidence(reply(99)) == pytest.approx(0.5, abs=0.1)


def test_what_replies_show_tells_right_from_wrong_ones():
    pytest.importorskip("numpy")
    knowledge, source = Knowledge(), random.Random(1)
    for number in range(200):
        right = source.random() < 0.5
        signals = (source.gauss(2.0 if right else 0.0), source.gauss(0.0))
        told(knowledge, 1, lambda n, right=right: float(right), since=number, signals=signals)
    step = knowledge.step(KEY)
    good, bad = (step.confidence(reply(999, signals=(x, 0.0))) for x in (3.0, -1.0))
    assert good > 0.65
    assert bad < 0.35


def test_a_reply_that_was_not_taken_learns_from_one_that_was():
    knowledge = Knowledge()
    for number in range(30):
        knowledge.fold(reply(number, taken=False, agrees=number % 2 == 0))
        knowledge.fold(reply(number, "large"))
        knowledge.fold(Outcome(attempt_id=f"large-{number}", score=1.0, source="user"))
    labels = knowledge.step(KEY).labels
    assert {labels[f"small-{n}"][1] for n in range(0, 30, 2)} == {1.0}
    assert {labels[f"small-{n}"][1] for n in range(1, 30, 2)} == {0.0}


def test_a_wrong_reply_says_nothing_of_one_that_differs():
    knowledge = Knowledge()
    knowledge.fold(reply(0, taken=False, agrees=False))
    told(knowledge, 1, lambda n: 0.0, "large")
    assert set(knowledge.step(KEY).labels) == {"large-0"}


def test_only_what_was_drawn_and_taken_and_fits_nothing_certifies():
    knowledge = Knowledge()
    told(knowledge, 40, lambda n: 1.0, "large", audited=True, taken=False, source="audit")
    assert knowledge.step(KEY).audits == {}, "a shadow was not taken"
    told(knowledge, 80, lambda n: 1.0, since=100, audited=True, source="audit")
    step = knowledge.step(KEY)
    assert step.state == "certified"
    assert not step.audits.keys() & step.labels.keys()
    assert step.certificate.bound <= step.certificate.alpha


def test_what_is_kept_out_comes_into_no_fit_by_another_reply_to_the_same_ask():
    knowledge = Knowledge()
    for number in range(40):
        knowledge.fold(reply(number, taken=False, agrees=True))
        told(knowledge, 1, lambda n: 1.0, "large", since=number, audited=True, source="audit")
    step = knowledge.step(KEY)
    kept_out = {seen.ask for seen, _ in step.audits.values()}
    assert kept_out
    assert kept_out.isdisjoint(seen.ask for seen, _ in step.labels.values())
    assert len(step.labels) == 2 * (40 - len(kept_out))


def test_what_is_kept_out_is_not_what_a_fit_believes_of_an_action_either():
    beliefs, chances = [], []
    for score in (0.0, 1.0):
        knowledge, number = Knowledge(), 0
        audited = {"audited": True, "source": "audit", "guess": 0.6}
        while len(knowledge.step(KEY).audits) < 20:  # nothing but what is kept out
            if is_kept_out(reply(number, "large", audited=True)):
                told(knowledge, 1, lambda _, score=score: score, "large", since=number, **audited)
            number += 1
        told(knowledge, 30, lambda n: float(n % 2))
        beliefs.append(knowledge.step(KEY).confidence(reply(999, "large")))
        chances.append(knowledge.quality(KEY, "large", 0.6).mean)
    assert beliefs[0] == beliefs[1], "what shows whether it holds has no part in it"
    assert chances[1] - chances[0] > 0.5, "whom to ask is learned from it all the same"


def test_another_threshold_is_another_promise():
    knowledge = Knowledge()
    told(knowledge, 90, lambda n: 1.0, audited=True, source="audit")
    assert knowledge.step(KEY).state == "certified"
    knowledge.fold(reply(500, threshold=0.95))
    knowledge.settle()
    assert knowledge.step(KEY).state == "calibrated"


def test_an_alarm_voids_what_was_believed_and_asks_the_best_alone():
    knowledge = Knowledge()
    told(knowledge, 60, lambda n: 1.0)
    told(knowledge, 15, lambda n: 1.0, "large", since=1000)
    assert chosen(knowledge) == "small"
    number = 100
    told(knowledge, 40, lambda n: 0.0, since=900)
    assert not knowledge.step(KEY).drifted, "nothing was promised of these"
    while not knowledge.step(KEY).drifted:
        told(knowledge, 1, lambda n: 0.0, since=number, confidence=0.9, state="calibrated")
        number += 1
        assert number < 130
    assert knowledge.step(KEY).state == "uncalibrated"
    assert chosen(knowledge) == "large"


def test_a_stream_asks_who_is_surely_good_enough():
    knowledge = Knowledge()
    told(knowledge, 60, lambda n: float(n % 2))
    told(knowledge, 60, lambda n: 1.0, "large", since=1000)
    found = outlooks(knowledge, KEY, QUOTED, 0.8)
    assert only_action(found, 0.8).action == "large"
    assert only_action(found, None).action == "small"


facts = st.lists(
    st.tuples(
        st.sampled_from(["small", "large"]), st.booleans(), st.booleans(), st.sampled_from([0, 1])
    ),
    max_size=80,
)


@settings(max_examples=25, deadline=None)
@given(log=facts)
def test_the_same_log_always_teaches_the_same(log):
    lives = []
    for _ in range(2):
        knowledge = Knowledge()
        for number, (action, passed, audited, score) in enumerate(log):
            seen = reply(number, action, passed=passed, audited=audited)
            knowledge.fold(seen)
            knowledge.fold(Outcome(attempt_id=seen.attempt_id, score=score, source="audit"))
        knowledge.settle()
        step = knowledge.step(KEY)
        lives.append((step.state, step.drifted, step.confidence(reply(999)), chosen(knowledge)))
    assert lives[0] == lives[1]


def test_a_certificate_lapses_until_it_is_shown_anew():
    knowledge, at = Knowledge(), datetime(2026, 11, 22, tzinfo=UTC)

    def audited(numbers):
        for number in numbers:
            seen = reply(number, audited=True)
            knowledge.fold(seen)
            knowledge.fold(Outcome(attempt_id=seen.attempt_id, score=1.0, source="audit", at=at))
        knowledge.settle()

    audited(range(90))
    step = knowledge.step(KEY)
    assert step.state == "certified"
    assert step.certificate.expires == at + CERTIFIED_FOR
    step.lapse(at + CERTIFIED_FOR - timedelta(seconds=1))
    assert step.state == "certified"
    step.lapse(at + CERTIFIED_FOR)
    assert step.state == "calibrated"
    at += 2 * CERTIFIED_FOR
    audited(range(90, 240))
    assert step.state == "certified"
    assert step.certificate.expires == at + CERTIFIED_FOR


def test_what_failed_its_checks_is_worth_what_such_replies_turned_out_to_be():
    knowledge = Knowledge()
    assert knowledge.despite(KEY, "small", 0.8) == pytest.approx(0.5)
    told(knowledge, 20, lambda _: 1.0, passed=False)
    assert knowledge.despite(KEY, "small", 0.8) > 0.8
    assert knowledge.step(KEY).labels == {}, "no confidence is fitted to them"
    told(knowledge, 20, lambda _: 0.0, since=20)
    assert knowledge.overall(KEY, "small", 0.8) == pytest.approx(
        0.5 * knowledge.despite(KEY, "small", 0.8)
        + 0.5 * knowledge.quality(KEY, "small", 0.8).mean,
        abs=0.1,
    )
    for number in range(60):
        knowledge.fold(reply(f"none-{number}", passed=False, replied=False))
    assert knowledge.despite(KEY, "small", 0.8) < 0.4, "what never came was not right"
