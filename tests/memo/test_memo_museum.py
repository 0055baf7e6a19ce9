"""Faults of other systems, each shown not to be ours."""

import asyncio

import orjson

from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Hit, Miss
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings


async def put(memo, one, answer):
    found = await memo.lookup(one)
    assert isinstance(found, Miss)
    assert (await memo.put(found.lease, answer)).stored


def scope_of(tenant, user):
    return Scope(org="o", team="t", agent="a", task_id="x", tenant=tenant, user=user)


async def test_bob_does_not_get_alices_answer(ask, answer):
    """langgraph 1.2 node cache, semantic-router 2134, litellm 19575: the key ignores the caller."""
    async with Memo(MemoryStore()) as memo:
        await put(memo, ask(scope=scope_of("acme", "alice")), answer())
        for other in (
            scope_of("acme", "bob"),
            scope_of("rival", "alice"),
            scope_of("acme", "Alice"),
        ):
            found = await memo.lookup(ask(scope=other))
            assert isinstance(found, Miss)
            memo.release(found.lease)
        assert isinstance(await memo.lookup(ask(scope=scope_of("acme", "alice"))), Hit)


async def test_a_public_answer_stays_in_its_tenant(ask, answer):
    """semantic-router 2134: the tenant is only a similarity."""
    rules = MemoSettings(fresh_for_s=60.0, share="public")
    async with Memo(MemoryStore()) as memo:
        await put(memo, ask(settings=rules, scope=scope_of("acme", "alice")), answer())
        assert isinstance(await memo.lookup(ask(settings=rules, scope=scope_of("acme", None))), Hit)
        assert isinstance(
            await memo.lookup(ask(settings=rules, scope=scope_of("rival", "alice"))), Miss
        )


async def test_two_steps_never_share_a_key(ask, answer):
    """langgraph 8753: two nodes share a key."""
    async with Memo(MemoryStore()) as memo:
        await put(memo, ask(step="plan"), answer(b"a plan"))
        assert isinstance(await memo.lookup(ask(step="answer")), Miss)
        assert isinstance(await memo.lookup(ask(step="plan", kind="tool")), Miss)


async def test_order_123_and_order_124_are_two_questions(ask, answer):
    """litellm 12234, 6954: different questions, one answer."""
    async with Memo(MemoryStore()) as memo:
        await put(memo, ask("What is the status of order 123?"), answer())
        assert isinstance(await memo.lookup(ask("What is the status of order 124?")), Miss)


async def test_tool_calls_and_tool_results_survive_a_hit(ask, answer):
    """litellm 28778: tool results lost on a hit, the agent loops."""
    reply = orjson.dumps(
        {"text": "", "tool_calls": [{"id": "c1", "name": "find", "arguments": "{}"}]}
    )
    question = [{"role": "user", "content": "find it"}]
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}

    def with_result(result):
        message = {"role": "tool", "tool_call_id": "c1", "content": result}
        one = ask()
        return type(one)(
            scope=one.scope,
            step=one.step,
            settings=one.settings,
            content=model_content([*question, call, message]),
        )

    async with Memo(MemoryStore()) as memo:
        await put(memo, ask(), answer(reply))
        assert (await memo.lookup(ask())).entry.reply == reply
        await put(memo, with_result("one"), answer(b"it is one"))
        assert isinstance(await memo.lookup(with_result("two")), Miss)
        assert (await memo.lookup(with_result("one"))).entry.reply == b"it is one"


async def test_a_hundred_callers_do_not_miss_together(ask, answer):
    """Many systems: a hundred callers miss together."""
    calls = 0

    async def one(memo):
        nonlocal calls
        found = await memo.lookup(ask())
        if isinstance(found, Miss):
            calls += 1
            await asyncio.sleep(0.01)
            await memo.put(found.lease, answer())

    async with Memo(MemoryStore()) as memo:
        await asyncio.gather(*(one(memo) for _ in range(100)))
    assert calls == 1


# "a pickle in the cache directory runs code" (diskcache CVE-2025-69872) is in test_memo_faults.py.
