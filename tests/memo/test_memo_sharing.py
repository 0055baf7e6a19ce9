"""No reply crosses a partition, even for one who knows another's exact prompt."""

import asyncio
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit, Miss
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings
from orchestrator.memo.sharing import NotShareable, Partition, partition_for

SHARES = ["user", "agent", "team", "org", "public"]


def walls(scope, share, labels=()):
    """Who may share, said once more in other words than the code's."""
    seen = {("tenant", scope.tenant)}
    narrow = {"private": "user", "unknown": "user", "internal": "team"}
    for one in [share, *(narrow.get(label, label) for label in labels)]:
        if one in ("org", "team", "agent", "user"):
            seen.add(("org", scope.org))
        if one in ("team", "agent", "user"):
            seen.add(("team", scope.team))
        if one == "agent":
            seen.add(("agent", scope.agent))
        if one == "user":
            seen.add(("user", scope.user))
    return frozenset(seen)


def run(coroutine):
    """Run what never has to wait: a store in memory answers on the spot."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    pytest.fail("it waited")


SCOPES = st.builds(
    lambda tenant, user, place, agent: Scope(
        org=place[0], team=place[1], agent=agent, task_id="t", tenant=tenant, user=user
    ),
    tenant=st.sampled_from(["t1", "t2", "t3"]),
    user=st.sampled_from(["u1", "u2", "u3", "u4", "u5", None]),
    place=st.sampled_from([("o", "a"), ("o", "b"), ("o/a", ""), ("p", "a")]),
    agent=st.sampled_from(["x", "y"]),
)


class Partitions(RuleBasedStateMachine):
    """Tenants, users and scopes ask the same; each reply names who it is for."""

    def __init__(self):
        super().__init__()
        self.memo = Memo(MemoryStore())
        asyncio.run(self.memo.open())
        self.operations = 0

    @rule(
        scope=SCOPES,
        share=st.sampled_from(SHARES),
        labels=st.sets(st.sampled_from(["private", "internal", "unknown", *SHARES]), max_size=2),
        late=st.sets(st.sampled_from(["private", "internal", "secret", "agent"]), max_size=1),
    )
    def ask(self, scope, share, labels, late):
        rules = MemoSettings(fresh_for_s=1e6, share=share, labels={"internal": "team"})
        content = model_content([{"role": "user", "content": "everyone's exact prompt"}])
        ask = Ask(scope=scope, step="s", settings=rules, content=content, labels=frozenset(labels))
        found = run(self.memo.lookup(ask))
        mine = walls(scope, share, labels)
        if isinstance(found, Hit):
            assert found.entry.reply.decode() == repr(sorted(mine, key=repr))
        elif found.lease is not None:
            kept_for = walls(scope, share, labels | late)
            reply = repr(sorted(kept_for, key=repr)).encode()
            answer = Answer(reply=reply, model="m", complete=True, labels=frozenset(late))
            put = run(self.memo.put(found.lease, answer))
            assert not (put.stored and "secret" in late)
            assert not (put.stored and ("user", None) in kept_for)
        else:
            assert ("user", None) in mine

    @invariant()
    def no_flight_is_left_over(self):
        assert self.memo._flights._flights == {}


# A longer search: ORCHESTRATOR_MEMO_EXAMPLES=1000 makes 100,000 operations.
Partitions.TestCase.settings = settings(
    max_examples=int(os.environ.get("ORCHESTRATOR_MEMO_EXAMPLES", "40")),
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestPartitions = Partitions.TestCase


def test_private_narrows_a_shared_step_to_its_user(scope):
    shared = partition_for(scope, "agent", ["private"])
    assert str(shared) == "acme: agent=writer org=acme team=research user=u1"


def test_a_custom_label_narrows_as_far_as_the_team_says(scope):
    assert partition_for(scope, "public", ["internal"], {"internal": "team"}) == partition_for(
        scope, "team"
    )
    assert partition_for(scope, "user", ["internal"], {"internal": "public"}) == partition_for(
        scope, "user"
    )


def test_a_label_no_one_explained_narrows_as_far_as_private(scope):
    assert partition_for(scope, "public", ["hr"], {"internal": "team"}) == partition_for(
        scope, "user"
    )


def test_secret_and_a_user_without_a_name_keep_nothing(scope):
    assert isinstance(partition_for(scope, "public", ["private", "secret"]), NotShareable)
    nameless = Scope(org="o", team="t", agent="a", task_id="t", tenant="t")
    assert isinstance(partition_for(nameless, "user"), NotShareable)
    assert isinstance(partition_for(nameless, "team", ["private"]), NotShareable)
    assert isinstance(partition_for(nameless, "team"), Partition)


def test_public_stays_in_its_tenant(scope):
    assert partition_for(scope, "public") == Partition("acme", ())


async def test_a_label_that_comes_to_light_late_keeps_the_answer_from_those_who_wait(ask, answer):
    rules = MemoSettings(fresh_for_s=60.0, share="team")
    async with Memo(MemoryStore()) as memo:
        first = await memo.lookup(ask(settings=rules))
        waiting = asyncio.create_task(memo.lookup(ask(settings=rules)))
        await asyncio.sleep(0)
        put = await memo.put(first.lease, answer(labels=frozenset({"private"})))
        assert put.stored  # for the user alone
        found = await waiting
        assert isinstance(found, Miss)
        assert (found.reason, found.lease) == ("alone", None)
        private = ask(settings=rules, labels=frozenset({"private"}))
        assert (await memo.lookup(private)).entry.labels == {"private"}
