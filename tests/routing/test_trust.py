"""Of all that was said of a reply one outcome is learned, once, and nobody's word counts twice."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.reports.outcomes import came_of
from orchestrator.routing.estimate.counts import Ladder
from orchestrator.routing.estimate.evidence import CheckBook, posterior
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Observation, Outcome, StepKey
from orchestrator.routing.learning.trust import SIGN_WEIGHT, SIGNS, TRUST, WHOLE

KEY = StepKey("a", "s", "v")
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def reply(number=0, action="small", **fields):
    made = {"threshold": 0.8, "passed": True, "failed": ()} | fields
    return Observation(
        attempt_id=f"{action}-{number}",
        ask=f"ask-{number}",
        agent="a",
        step="s",
        version="v",
        action=action,
        **made,
    )


def said(source, score, *, of="small-0", weight=None):
    usual = SIGN_WEIGHT if source in SIGNS else 1.0
    return Outcome(attempt_id=of, score=score, source=source, weight=weight or usual, at=NOW)


def after(*facts):
    knowledge = Knowledge()
    for fact in facts:
        knowledge.fold(fact)
    return knowledge


def label(knowledge, of="small-0"):
    found = knowledge.step(KEY).labels.get(of)
    return None if found is None else found[1]


def good(knowledge, action="small"):
    """What the averages hold of an action, at the step: sum and weight of its outcomes."""
    count = knowledge.good.counts.get((KEY.path, action))
    return (0.0, 0.0) if count is None else (count.total, count.weight)


@pytest.mark.parametrize("first", ["user", "audit"])
def test_whoever_is_trusted_more_is_believed_whoever_speaks_first(first):
    words = [said("user", 0.0), said("audit", 1.0)]
    knowledge = after(reply(), *(words if first == "user" else reversed(words)))
    assert label(knowledge) == 0.0
    assert good(knowledge) == pytest.approx((0.0, 1.0)), "counted once, and as the user has it"


def test_of_equals_the_newest_is_believed():
    knowledge = after(reply(), said("user", 1.0), said("person", 0.0), said("user", 0.6))
    assert label(knowledge) == 0.6
    assert good(knowledge) == pytest.approx((0.6, 1.0))


def test_executed_tests_need_nobody_to_tell_and_outweigh_everybody():
    knowledge = after(reply(checks={"tests": 1.0}))
    assert label(knowledge) == 1.0
    knowledge.fold(said("user", 0.0))
    assert label(knowledge) == 1.0


def test_a_word_on_a_whole_task_replaces_none_on_the_reply_itself():
    knowledge = after(reply(), said("audit", 1.0), said("user", 0.0, weight=0.2))
    assert label(knowledge) == 1.0
    knowledge.fold(said("user", 0.0))
    assert label(knowledge) == 0.0


@pytest.mark.parametrize("source", sorted(SIGNS))
def test_a_sign_moves_averages_and_fits_proves_and_alarms_nothing(source):
    knowledge = Knowledge()
    for number in range(120):
        seen = reply(number, checks={"judge": 1.0} if source == "judge" else {}, audited=True)
        knowledge.fold(seen)
        if source == "tool":
            knowledge.fold(said("tool", 1.0, of=seen.attempt_id))
    step = knowledge.step(KEY)
    assert (step.labels, step.audits, step.state) == ({}, {}, "uncalibrated")
    guess = knowledge.quality(KEY, "small", 0.5)
    assert 0.5 < guess.mean < 0.95, "believed, but not as if somebody had looked"


def test_what_replaces_a_sign_leaves_nothing_of_it():
    alone = after(reply(), said("user", 0.0))
    both = after(reply(checks={"judge": 1.0}), said("tool", 1.0), said("user", 0.0))
    assert good(both) == pytest.approx(good(alone))
    one, other = (each.quality(KEY, "small", 0.6).mean for each in (alone, both))
    assert one == pytest.approx(other)


def test_of_all_tools_that_a_reply_called_the_one_that_failed_speaks():
    one = after(reply(), said("tool", 0.0), said("tool", 1.0))
    other = after(reply(), said("tool", 1.0), said("tool", 0.0))
    assert one.told["small-0"].lesson.score == other.told["small-0"].lesson.score == 0.0
    assert one.quality(KEY, "small", 0.5).mean < 0.5


def test_what_followed_from_an_outcome_goes_with_it():
    cheap, dear = reply(0, taken=False, agrees=False), reply(0, "large")
    knowledge = after(cheap, dear, said("audit", 1.0, of="large-0"))
    assert label(knowledge) == 0.0, "it says something else than what is right"
    knowledge.fold(said("user", 0.0, of="large-0"))
    assert label(knowledge) is None, "something else than what is wrong may be either"
    assert good(knowledge) == pytest.approx((0.0, 0.0))


def test_an_audit_certifies_by_its_own_measure_whatever_else_was_said():
    knowledge = Knowledge()
    for number in range(90):
        seen = reply(number, audited=True)
        knowledge.fold(seen)
        knowledge.fold(said("user", 0.0, of=seen.attempt_id))
        knowledge.fold(said("audit", 1.0, of=seen.attempt_id))
    step = knowledge.step(KEY)
    assert {score for _, score in step.audits.values()} == {1.0}
    assert {score for _, score in step.labels.values()} == {0.0}
    assert not step.audits.keys() & step.labels.keys()


# Checks


def test_a_check_is_worth_what_it_did_and_what_a_verdict_takes_back_is_taken_back():
    names = {"form": 1.0, "judge": 1.0}
    knowledge = Knowledge()
    for number in range(200):
        knowledge.fold(reply(number, checks=names))
        knowledge.fold(said("audit", float(number % 2), of=f"small-{number}"))
    records = knowledge.checks.records("s", names)
    assert records["form"].passes_bad > 0.9, "it passed every wrong one"
    assert posterior(0.5, [("judge", True)], records) < 0.55, "what passes all says nothing"
    before = records["form"]
    for number in range(200):
        knowledge.fold(said("user", 1.0, of=f"small-{number}"))
    after_all = knowledge.checks.records("s", names)["form"]
    assert after_all.passed_bad < before.passed_bad / 5
    assert after_all.passed_good > before.passed_good


def test_replies_that_failed_teach_what_a_failure_means():
    knowledge = Knowledge()
    for number in range(100):
        wrongly = reply(
            number, checks={"form": 0.0}, failed=("form",), passed=False, taken=False, agrees=True
        )
        knowledge.fold(wrongly)
        knowledge.fold(reply(number, "large"))
        knowledge.fold(said("user", 1.0, of=f"large-{number}"))
    record = knowledge.checks.records("s", ["form"])["form"]
    assert record.passes_good < 0.1, "it failed replies that say the same as right ones"
    assert knowledge.step(KEY).labels.keys() == {f"large-{n}" for n in range(100)}


def test_tests_do_not_judge_themselves():
    knowledge = Knowledge()
    for number in range(50):
        knowledge.fold(reply(number, checks={"tests": 1.0, "form": 1.0}))
    records = knowledge.checks.records("s", ["tests", "form"])
    assert records["tests"].replies == 20, "as at the start"
    assert records["form"].passes_good > 0.9


def test_a_step_begins_with_what_its_checks_did_elsewhere():
    book = CheckBook()
    for _ in range(500):
        book.observe("one", "form", passed=True, good=True)
        book.observe("one", "form", passed=True, good=False)
    assert book.records("two", ["form"])["form"].passes_bad > 0.9
    for _ in range(100):
        book.observe("two", "form", passed=False, good=False)
    assert book.records("two", ["form"])["form"].passes_bad < 0.2


def test_old_lessons_tell_what_their_scores_tell():
    old = reply(checks={"form": 1.0, "arithmetic": 0.5, "schema": 0.0}, failed=None, passed=False)
    assert old.verdicts == {"schema": False}
    assert reply(checks={"form": 1.0}, failed=None).verdicts == {"form": True}


# Nothing is counted twice, and the same log teaches the same

words = st.lists(
    st.tuples(
        st.sampled_from(sorted(TRUST)),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([0.2, 1.0]),
        st.integers(0, 2),
    ),
    max_size=25,
)


@given(words)
def test_each_reply_counts_once_whatever_is_said(heard):
    seen = [reply(number) for number in range(3)]
    facts = [
        said(source, score, of=f"small-{number}", weight=None if source in SIGNS else weight)
        for source, score, weight, number in heard
    ]
    knowledge, again = after(*seen, *facts), after(*seen, *facts)
    lessons = [told.lesson for told in knowledge.told.values()]
    faded = sum(lesson.weight for lesson in lessons)
    signs = knowledge.signs.counts.get((KEY.path, "small"))
    weight = good(knowledge)[1] + (0.0 if signs is None else signs.weight)
    assert weight == pytest.approx(faded, rel=0.05)
    assert good(knowledge) == good(again)
    whole = {one.attempt_id for one in lessons if one.weight >= WHOLE and one.source not in SIGNS}
    assert knowledge.step(KEY).labels.keys() == whole
    for one in lessons:
        of_it = [each for each in facts if each.attempt_id == one.attempt_id]
        of_it = [each for each in of_it if each.weight >= WHOLE] or of_it
        assert TRUST[one.source] == max(TRUST[each.source] for each in of_it)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 1)), min_size=1, max_size=30))
def test_an_outcome_that_is_replaced_leaves_what_would_have_been_without_it(rows):
    corrected, straight = Ladder(), Ladder()
    entries = [corrected.observe(("s", "a"), name, 1 - score, 0.3) for name, score in rows]
    for entry, (_, score) in zip(entries, rows, strict=True):
        corrected.revise(entry, score, 1.0)
    for name, score in rows:
        straight.observe(("s", "a"), name, score)
    for name in {name for name, _ in rows}:
        one, other = (ladder.estimate(("s", "a"), name) for ladder in (corrected, straight))
        assert one.mean == pytest.approx(other.mean)
        assert one.weight == pytest.approx(other.weight)


def test_what_came_of_a_reply_is_told_with_who_says_so():
    heard = [said("audit", 1.0), said("tool", 0.0), said("user", 0.0)]
    assert came_of(reply(checks={"judge": 1.0}), heard) == (
        "What came of it: wrong by the user;"
        " right by the judge, right by an audit, failing by the tools it called: that counts less."
    )
    assert came_of(reply(), []) == ""
    assert came_of(reply(), heard[1:2]) == (
        "What came of it: failing by the tools it called (a sign)."
    )
