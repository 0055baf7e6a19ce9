"""One flight per key: across tasks, event loops, threads and processes; leaders may die."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit, Miss
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.entry import Answer, Needs
from orchestrator.memo.flight import WaitedOut
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.redis_store import RedisStore
from orchestrator.memo.settings import MemoSettings


@pytest.fixture
async def memo():
    async with Memo(MemoryStore()) as memo:
        yield memo
        assert memo._flights._flights == {}
        assert memo._backing.store._claims == set()


async def settle():
    """Let everyone take their next steps."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_thousand_askers_are_answered_by_one_call(memo, ask, answer):
    calls = 0

    async def one():
        nonlocal calls
        found = await memo.lookup(ask())
        if isinstance(found, Hit):
            return found.entry.reply
        calls += 1
        await settle()
        await memo.put(found.lease, answer())
        return b"soon"

    assert await asyncio.gather(*(one() for _ in range(1_000))) == [b"soon"] * 1_000
    assert calls == 1
    counts = memo.stats.steps["plan"]
    assert (counts.hits, counts.shared, counts.saved) == (999, 999, Money(999_000))


async def test_a_leader_that_fails_is_followed_by_exactly_one(memo, ask, answer):
    leader = await memo.lookup(ask())
    waiting = [asyncio.create_task(memo.lookup(ask())) for _ in range(20)]
    await settle()
    memo.release(leader.lease)
    await settle()
    heirs = [task for task in waiting if task.done()]
    assert len(heirs) == 1
    heir = heirs[0].result()
    assert isinstance(heir, Miss)
    await memo.put(heir.lease, answer())
    found = await asyncio.gather(*(task for task in waiting if task is not heirs[0]))
    assert {one.entry.reply for one in found} == {b"soon"}


async def test_an_answer_that_cannot_be_shared_lets_everyone_ask_alone(memo, ask, answer):
    leader = await memo.lookup(ask())
    waiting = [asyncio.create_task(memo.lookup(ask())) for _ in range(5)]
    await settle()
    await memo.put(leader.lease, answer(complete=False))
    found = await asyncio.gather(*waiting)
    assert {(one.reason, one.lease) for one in found} == {("alone", None)}


async def test_a_waiter_that_needs_more_asks_itself(memo, ask, answer):
    strict = ask(needs=Needs(confidence=0.9))
    leader = await memo.lookup(ask())
    lax, strict_waiter = (asyncio.create_task(memo.lookup(one)) for one in (ask(), strict))
    await settle()
    await memo.put(leader.lease, answer(confidence=0.5))
    assert isinstance(await lax, Hit)
    found = await strict_waiter
    assert (found.reason, found.lease.known.confidence) == ("unfit", 0.5)
    memo.release(found.lease)


async def test_a_waiters_own_deadline_holds(memo, ask):
    leader = await memo.lookup(ask())
    with pytest.raises(WaitedOut):
        await memo.lookup(ask(), wait_s=0.01)
    memo.release(leader.lease)


async def test_a_cancelled_waiter_does_not_take_the_lead_with_it(memo, ask):
    leader = await memo.lookup(ask())
    waiting = [asyncio.create_task(memo.lookup(ask())) for _ in range(3)]
    await settle()
    memo.release(leader.lease)  # the first waiter is told on the loop's next turn
    waiting[0].cancel()
    await settle()
    assert waiting[0].cancelled()
    heir = await asyncio.wait_for(waiting[1], 5)
    memo.release(heir.lease)
    memo.release((await waiting[2]).lease)


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_at_any_turn_leaves_no_flight_behind(memo, ask, turns):
    leader = await memo.lookup(ask())
    waiter = asyncio.create_task(memo.lookup(ask()))
    await settle()
    memo.release(leader.lease)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiter.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        memo.release((await waiter).lease)
    assert memo._flights._flights == {}
    again = await asyncio.wait_for(memo.lookup(ask()), 5)
    assert (again.reason, again.lease.open) == ("absent", True)
    memo.release(again.lease)


async def test_a_lease_is_put_or_released_once(memo, ask, answer):
    found = await memo.lookup(ask())
    memo.release(found.lease)
    memo.release(found.lease)
    assert (await memo.put(found.lease, answer())).reason == "released"
    memo.release(None)


def test_askers_of_many_threads_and_loops_share_one_call(ask, answer):
    memo, calls, replies = Memo(MemoryStore()), [], []

    async def one():
        found = await memo.lookup(ask(), wait_s=30)
        if isinstance(found, Miss):
            calls.append(1)
            await asyncio.sleep(0.05)
            await memo.put(found.lease, answer())
            return b"soon"
        return found.entry.reply

    def thread():
        async def many():
            return await asyncio.gather(*(one() for _ in range(20)))

        replies.extend(asyncio.run(many()))

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert (len(calls), replies) == (1, [b"soon"] * 160)


def test_a_waiter_whose_loop_is_gone_is_passed_over(ask):
    memo = Memo(MemoryStore())
    leader = asyncio.run(memo.lookup(ask()))
    loop = asyncio.new_event_loop()
    gone = loop.create_task(memo.lookup(ask()))
    loop.run_until_complete(asyncio.sleep(0.01))
    gone._log_destroy_pending = False
    loop.close()

    async def later():
        waiting = asyncio.create_task(memo.lookup(ask()))
        await settle()
        memo.release(leader.lease)
        return await asyncio.wait_for(waiting, 5)

    assert isinstance(asyncio.run(later()), Miss)


# Between processes. Each worker answers through a real store and writes one line per wire call.

START = multiprocessing.get_context("spawn")


def open_store(address):
    return RedisStore(address, claim_s=1.0) if "://" in address else DiskStore(address)


def note(log, line):
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def worker(address, log, askers, call_s):
    async def one(memo):
        rules = MemoSettings(fresh_for_s=3600.0, share="team")
        scope = Scope(org="o", team="t", agent="a", task_id="task", tenant="t")
        ask = Ask(scope=scope, step="s", settings=rules, content=model_content([]))
        found = await memo.lookup(ask, wait_s=60.0)
        if isinstance(found, Hit):
            return
        note(log, f"call {os.getpid()}")
        await asyncio.sleep(call_s)
        await memo.put(found.lease, Answer(reply=b"one for all", model="m", complete=True))

    async def main():
        async with Memo(open_store(address)) as memo:
            await asyncio.gather(*(one(memo) for _ in range(askers)))
            note(log, f"answered {askers}")

    asyncio.run(main())


@pytest.fixture(params=["disk", "redis"])
def address(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path / "memo")
    server = request.getfixturevalue("redis_server")
    server.flushall()
    return f"unix://{server.socket_file}"


def lines(log, word):
    return [line for line in log.read_text().splitlines() if line.startswith(word)]


def until(condition, *, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def test_a_thousand_askers_in_four_processes_make_one_call(address, tmp_path):
    log = tmp_path / "log"
    log.touch()
    workers = [START.Process(target=worker, args=(address, log, 250, 0.5)) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
    assert [each.exitcode for each in workers] == [0] * 4
    assert len(lines(log, "call")) == 1
    assert len(lines(log, "answered 250")) == 4


def test_a_killed_leader_is_followed_by_exactly_one_call(address, tmp_path):
    log = tmp_path / "log"
    log.touch()
    leader = START.Process(target=worker, args=(address, log, 250, 3600.0))
    leader.start()
    until(lambda: lines(log, "call"))
    others = [START.Process(target=worker, args=(address, log, 250, 0.2)) for _ in range(3)]
    for each in others:
        each.start()
    time.sleep(1.0)  # long enough for a claim that is not prolonged to pass to another
    assert len(lines(log, "call")) == 1
    os.kill(leader.pid, signal.SIGKILL)
    for each in [leader, *others]:
        each.join(60)
    assert leader.exitcode == -signal.SIGKILL
    assert [each.exitcode for each in others] == [0] * 3
    assert len(lines(log, "call")) == 2
    assert len(lines(log, "answered 250")) == 3


def test_a_fork_does_not_inherit_its_parents_claims(tmp_path):
    store = DiskStore(tmp_path / "memo")
    store.open()
    assert store.claim("ab" * 32)
    child = os.fork()
    if child == 0:  # in the child
        claimed = True
        try:
            claimed = store._parts.locks.claim("ab" * 32)
        finally:
            os._exit(int(claimed))
    assert os.waitpid(child, 0)[1] == 0  # not claimed there: the parent holds it
    sleeper = os.fork()
    if sleeper == 0:  # in the child
        time.sleep(60)
        os._exit(0)
    store._parts.locks.close()  # as the parent's death would
    other = DiskStore(tmp_path / "memo")
    other.open()
    try:
        until(lambda: other.claim("ab" * 32), seconds=5.0)
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)
        other.close()


def test_many_threads_write_and_read_one_directory(tmp_path, ask, answer):
    memo = Memo(DiskStore(tmp_path / "memo"), on_fault=pytest.fail)
    wrong = []

    async def work(thread):
        for number in range(40):
            name = f"{(thread + number) % 20}"
            found = await memo.lookup(ask(name), wait_s=30)
            if isinstance(found, Miss):
                await memo.put(found.lease, answer(name.encode()))
            elif found.entry.reply != name.encode():
                wrong.append(found)

    asyncio.run(memo.open())
    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not wrong
    counts = memo.stats.steps["plan"]
    assert (counts.stored, counts.hits) == (20, 300)
    asyncio.run(memo.aclose())
