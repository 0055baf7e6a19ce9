"""Keeping up with the log: off the way of who asks, and the same whenever it is worked out."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from orchestrator.core.clock import SystemClock
from orchestrator.ledger.lessons import Lesson
from orchestrator.routing.learning import belief
from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Observation, Outcome, StepKey, fact_of
from orchestrator.runtime.shared import learner as learning
from orchestrator.runtime.shared.engine import Engine
from orchestrator.runtime.shared.learner import Learner

KEY = StepKey("a", "s", "v")
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Log:
    """A ledger of which only the lessons are read."""

    def __init__(self):
        self.rows, self.reads = [], 0

    async def lessons(self, tenant, *, after, limit):
        self.reads += 1
        return [one for one in self.rows if one.seq > after][:limit]

    def add(self, numbers, score=lambda n: 1.0, **fields):
        for number in numbers:
            seen = Observation(
                attempt_id=f"r{number}",
                ask=f"k{number}",
                agent="a",
                step="s",
                version="v",
                action="small",
                passed=True,
                threshold=0.8,
                **fields,
            )
            told = Outcome(attempt_id=seen.attempt_id, score=score(number), source="audit")
            for kind, body in (("observation", seen.body()), ("outcome", told.body())):
                self.rows.append(
                    Lesson(
                        tenant="t",
                        kind=kind,
                        task_id="x",
                        step="s",
                        subject=seen.attempt_id,
                        body=body,
                        at=NOW,
                        seq=len(self.rows) + 1,
                    )
                )


@pytest.fixture
async def kept_up():
    """A learner on a log."""
    engine, log = Engine(), Log()
    engine.start()
    learner = Learner(log, engine, SystemClock())
    yield learner, log
    await learner.aclose()
    await engine.idle()
    engine.stop()


@pytest.fixture
def fits(monkeypatch):
    """Counts fits, and has them wait for ``go``."""
    counted, go, fit = [], threading.Event(), belief.refit
    go.set()

    def refit(labels, guesses, threshold):
        go.wait(20)
        counted.append(len(labels))
        return fit(labels, guesses, threshold)

    monkeypatch.setattr(belief, "refit", refit)
    return counted, go


async def test_a_process_that_starts_works_out_the_last_fit_alone(kept_up, fits):
    learner, log = kept_up
    log.add(range(500))
    knowledge = await learner.knowledge("t", log)
    assert knowledge.step(KEY).state == "calibrated"
    assert len(fits[0]) == 1
    assert log.reads == 2, "a page, and what was left"


async def test_nobody_waits_for_a_fit_once_something_is_known(kept_up, fits):
    learner, log = kept_up
    counted, go = fits
    log.add(range(31))
    assert (await learner.knowledge("t", log)).step(KEY).fitted_to == 30
    go.clear()
    log.add(range(31, 80))
    learner.taught("t")
    step = (await asyncio.wait_for(learner.knowledge("t", log), 10)).step(KEY)
    assert (len(step.labels), step.fitted_to) == (80, 30), "read, and not fitted yet"
    go.set()
    await learner.learn("t")
    assert step.fitted_to == 67
    assert counted == [30, 67]


async def test_an_ask_waits_for_one_page_and_the_next_one_reads_on(kept_up, monkeypatch):
    monkeypatch.setattr(learning, "PAGE", 10)
    learner, log = kept_up
    log.add(range(20))
    knowledge = await learner.knowledge("t", log)
    assert knowledge.read_to == 40, "the first question waits for everything"
    log.add(range(20, 50))
    learner.taught("t")
    for read_to in (50, 60):
        assert (await learner.knowledge("t", log)).read_to == read_to
    await learner.learn("t")
    assert knowledge.read_to == 100


async def test_what_a_task_will_ask_for_is_read_while_it_opens(kept_up):
    learner, log = kept_up
    log.add(range(3))
    learner.expect("t", log)
    while learner._of("t").reading is not None:
        await asyncio.sleep(0.001)
    reads = log.reads
    assert (await learner.knowledge("t", log)).read_to == 6
    assert log.reads == reads


async def test_a_log_that_cannot_be_read_is_read_again(kept_up, monkeypatch):
    learner, log = kept_up
    log.add(range(3))
    lessons, fails = log.lessons, [OSError("away")]

    async def once(tenant, *, after, limit):
        if fails:
            raise fails.pop()
        return await lessons(tenant, after=after, limit=limit)

    monkeypatch.setattr(log, "lessons", once)
    with pytest.raises(OSError, match="away"):
        await learner.knowledge("t", log)
    assert (await learner.knowledge("t", log)).read_to == 6


@pytest.mark.parametrize("every", [1, 7, 100])
def test_it_is_the_same_whenever_it_is_worked_out(every):
    """A log with a drift in it, certificates, and replies accepted under a promise."""
    log = Log()
    log.add(range(120), audited=True)
    log.add(
        range(120, 200),
        lambda n: float(n % 3 == 0),
        state="calibrated",
        confidence=0.9,
        audited=True,
    )
    log.add(range(200, 330), lambda n: float(n % 4 > 0), audited=True)
    often, once = Knowledge(), Knowledge()
    drifts = []
    for number, lesson in enumerate(log.rows):
        often.fold(fact_of(lesson))
        once.fold(fact_of(lesson))
        drifts.append((often.step(KEY).drifted, once.step(KEY).drifted))
        if number % every == 0:
            often.settle()
    often.settle()
    once.settle()
    one, other = often.step(KEY), once.step(KEY)
    assert any(drifted for drifted, _ in drifts)
    assert all(mine == theirs for mine, theirs in drifts)
    assert one.fitted == other.fitted
    assert one.certificate == other.certificate
    assert one.certificate is not None
    assert one.accepts("small", 0.8) == other.accepts("small", 0.8)
