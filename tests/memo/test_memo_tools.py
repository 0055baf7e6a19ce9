"""Read-only tools through the memo."""

import asyncio
import contextlib
import enum
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.core.money import Money
from orchestrator.memo.entry import decode, encode
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.tools import ToolBinding, bind_tools, memoized_tool


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Calls(list):
    """What was really called."""


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def find(calls):
    @memoized_tool(
        fresh_for=timedelta(minutes=5),
        reads=("catalog",),
        share="team",
        price=Money(7),
        name="find",
    )
    async def find(name, size=3, *, deep=False):
        """Find it."""
        calls.append((name, size, deep))
        await asyncio.sleep(0)
        return {"name": name, "found": [1, 2.5, None, True, {"a": "ä"}]}

    return find


@pytest.fixture
async def memo(clock):
    async with Memo(MemoryStore(), clock=clock) as memo:
        yield memo


async def test_the_same_arguments_are_called_once_however_they_are_given(memo, scope, find, calls):
    hits = []
    binding = ToolBinding(memo=memo, scope=scope, on_result=lambda _, hit: hits.append(hit))
    with bind_tools(binding):
        first = await find("lamp")
        assert await find(name="lamp", size=3) == first
        assert await find("lamp", 3, deep=False) == first
        await find("lamp", 4)
        await find("lamp", deep=True)
    assert calls == [("lamp", 3, False), ("lamp", 4, False), ("lamp", 3, True)]
    assert [hit and hit.entry.cost for hit in hits] == [None, Money(7), Money(7), None, None]
    assert find.__doc__ == "Find it."


async def test_without_a_running_task_it_is_simply_called(find, calls):
    await find("lamp")
    await find("lamp")
    assert len(calls) == 2


async def test_a_touched_source_is_read_again(memo, scope, find, calls):
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await find("lamp")
        await memo.touch(scope.tenant, "catalog")
        await find("lamp")
    assert len(calls) == 2


@pytest.fixture
def reading(calls):
    """Makes a tool that reads sources, and calls other tools."""

    def made(name, *inner, reads=()):
        @memoized_tool(fresh_for=300.0, share="team", name=name, reads=reads)
        async def tool():
            calls.append(name)
            return [await one() for one in inner]

        return tool

    return made


async def called(calls, tool):
    """What is really called when ``tool`` is."""
    calls.clear()
    await tool()
    return list(calls)


@pytest.mark.parametrize("is_known", [False, True])
async def test_who_calls_tools_has_read_what_they_read(memo, scope, reading, calls, is_known):
    catalog = reading("catalog", reads=("catalog",))
    prices = reading("prices", reads=("prices",))
    inner, beside = reading("inner", catalog), reading("beside", prices)
    outer = reading("outer", inner, prices)
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        if is_known:  # a hit tells it too
            await catalog()
        await outer()
        await beside()
        await memo.touch(scope.tenant, "stock")
        await memo.touch("rival", "catalog")
        assert await called(calls, outer) == await called(calls, beside) == []
        await memo.touch(scope.tenant, "prices")
        assert await called(calls, outer) == ["outer", "prices"]
        assert await called(calls, beside) == ["beside"]
        await memo.touch(scope.tenant, "catalog")
        assert await called(calls, outer) == ["outer", "inner", "catalog"]
        assert await called(calls, beside) == []


async def test_what_changed_between_two_readings_leaves_a_stale_result(memo, scope, reading, calls):
    catalog = reading("catalog", reads=("catalog",))

    @memoized_tool(fresh_for=300.0, name="outer")
    async def outer():
        calls.append("outer")
        await catalog()
        await memo.touch(scope.tenant, "catalog", f"v{len(calls)}")
        await catalog()

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await outer()
        assert "outer" in await called(calls, outer)


async def test_what_no_version_was_taken_of_leaves_a_stale_result(memo, scope, calls):
    @memoized_tool(fresh_for=300.0, name="inner", reads=("catalog",))
    def inner():
        return calls.append("inner")

    @memoized_tool(fresh_for=300.0, name="outer")
    async def outer():
        return inner()  # on a thread with a loop: past the memo

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        assert await called(calls, outer) == await called(calls, outer) == ["inner"]


async def test_what_plain_tools_read_on_their_threads_counts_too(memo, scope, calls):
    @memoized_tool(fresh_for=300.0, name="inner", reads=("catalog",))
    def inner():
        calls.append("inner")

    @memoized_tool(fresh_for=300.0, name="outer")
    def outer():
        calls.append("outer")
        inner()

    async def on_a_thread():
        await asyncio.to_thread(outer)

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        assert await called(calls, on_a_thread) == ["outer", "inner"]
        assert await called(calls, on_a_thread) == []
        await memo.touch(scope.tenant, "catalog")
        assert await called(calls, on_a_thread) == ["outer", "inner"]


async def test_a_tool_that_fails_has_read_all_the_same(memo, scope, calls):
    @memoized_tool(fresh_for=300.0, name="failing", reads=("catalog",))
    async def failing():
        message = "nothing there"
        raise LookupError(message)

    @memoized_tool(fresh_for=300.0, name="outer")
    async def outer():
        calls.append("outer")
        with contextlib.suppress(LookupError):
            await failing()

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await outer()
        assert await called(calls, outer) == []
        await memo.touch(scope.tenant, "catalog")
        assert await called(calls, outer) == ["outer"]


async def test_it_grows_old(memo, scope, find, calls, clock):
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await find("lamp")
        clock.pass_s(301.0)
        await find("lamp")
    assert len(calls) == 2


async def test_what_a_tool_raises_is_not_kept_and_another_asker_calls_it(memo, scope):
    calls = []

    @memoized_tool(fresh_for=60.0, name="a tool")
    async def fragile():
        calls.append(1)
        await asyncio.sleep(0.01)
        if len(calls) == 1:
            message = "not today"
            raise OSError(message)
        return "there"

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        found = await asyncio.gather(*(fragile() for _ in range(5)), return_exceptions=True)
    assert sorted(map(str, found)) == ["not today", "there", "there", "there", "there"]
    assert len(calls) == 2


@pytest.mark.parametrize(
    "result",
    [
        *((1, 2), {1: "a"}, {1, 2}, object(), float("nan"), b"bytes", "\ud800", {"a": (1,)}),
        *([Colour.RED], Colour.RED, {"a": Number.ONE}),
    ],
)
async def test_a_result_that_json_would_change_is_passed_on_and_not_kept(memo, scope, result):
    calls = []

    @memoized_tool(fresh_for=60.0, name="a tool")
    async def odd():
        calls.append(1)
        return result

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        assert await odd() is result
        assert await odd() is result
    assert len(calls) == 2


@pytest.mark.parametrize(
    "value", [float("nan"), Colour.RED, Number.ONE, [{"a": Colour.RED}], uuid.UUID(int=1)]
)
async def test_arguments_without_a_canonical_form_are_not_memoized(memo, scope, find, calls, value):
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await find(value)
        await find(value)
    assert len(calls) == 2


def test_a_tool_made_for_something_needs_a_name_of_its_own():
    def tool_for(customer, **more):
        @memoized_tool(fresh_for=60.0, **more)
        async def orders():
            return customer

        return orders

    with pytest.raises(ValueError, match="orders uses customer from around it"):
        tool_for("alice")
    tool_for("alice", name="orders of alice")


@pytest.mark.parametrize("body", [b"no JSON", b"", b"\xff", b"[" * 100_000])
async def test_a_result_that_cannot_be_read_is_called_for_again(memo, scope, faults, body):
    calls = []

    @memoized_tool(fresh_for=60.0, name="find")
    async def find(name):
        calls.append(name)
        return name

    memo._backing.guard._on_fault = faults
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await find("lamp")
        store = memo._backing.store
        ((key, (kept, until)),) = store._entries.items()
        store._entries[key] = (encode(decode(kept, key)._replace(reply=body)), until)
        await find("lamp")
        await find("lamp")
    assert len(calls) == 2
    assert [fault.kind for fault in faults] == ["entry"]


async def test_labels_of_the_task_keep_a_result_private(memo, scope, find, calls):
    private = ToolBinding(memo=memo, scope=scope, labels=lambda: frozenset({"private"}))
    with bind_tools(private):
        await find("lamp")
    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        await find("lamp")
    assert len(calls) == 2


async def test_a_private_tool_past_the_memo_keeps_the_result_of_its_caller_private(
    memo, scope, calls
):
    given = set()

    @memoized_tool(fresh_for=300.0, name="mine")
    def mine():
        return "what only this user may see"

    @memoized_tool(fresh_for=300.0, name="outer", share="team")
    async def outer():
        calls.append("outer")
        return mine()  # on a thread with a loop: past the memo

    def bound(user):
        return bind_tools(
            ToolBinding(
                memo=memo,
                scope=replace(scope, user=user),
                labels=lambda: frozenset(given),
                note=given.update,
            )
        )

    with bound("ann"):
        await outer()
    given.clear()
    with bound("ben"):
        assert await called(calls, outer) == ["outer"]


async def test_a_sync_tool_works_from_a_thread(memo, scope):
    calls = []

    @memoized_tool(fresh_for=60.0, name="a tool")
    def slow(number):
        calls.append(number)
        return number * 2

    with bind_tools(ToolBinding(memo=memo, scope=scope)):
        assert await asyncio.to_thread(slow, 4) == 8
        assert await asyncio.to_thread(slow, 4) == 8
        assert calls == [4]
        assert slow(4) == 8  # here an event loop runs: it is called, not looked up
        assert calls == [4, 4]
