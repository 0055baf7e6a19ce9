"""The comparisons. Rivals take turns in every round, so that only ratios of one run are formed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import quote
from uuid import uuid4

from orchestrator.bench.ledger.bare import BarePostgres, BareSqlite
from orchestrator.bench.ledger.subject import Subject
from orchestrator.bench.memo.rivals import LitellmRival
from orchestrator.testing.sqlite_disk import disk

SLOW_S = 0.001
PROCESSES = 4
TASKS = 16
CONNECTIONS = 64
SLOWER = ", fsync + 1 ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One comparison.

    Attributes:
        what: What is compared with what.
        ledger: The ledger's median.
        yardstick: The other's median.
        unit: Of both.
        ratio: The ledger's over the other's.
        target: What it is to be.
        is_met: Whether it is.
    """

    what: str
    ledger: float
    yardstick: float
    unit: str
    ratio: float
    target: str
    is_met: bool


async def compare_sqlite(*, rounds: int, calls: int, slow: bool) -> list[Ratio]:
    """Alone by CPU, 16 tasks by rate; with ``slow`` each fsync takes a millisecond longer."""
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as name, _disk(slow=slow):
        subject = Subject(f"sqlite:///{name}/ledger.db")
        await subject.open()
        bare = BareSqlite(Path(name) / "bare.db")
        alone: dict[str, list[float]] = {"ledger": [], "bare": []}
        rates: dict[str, list[float]] = {"ledger": [], "bare": []}
        try:
            await subject.calls(calls, at_once=1)
            for _ in range(rounds):
                alone["ledger"].append(await _cpu(lambda: subject.calls(calls, at_once=1)))
                alone["bare"].append(await _cpu(lambda: _bare_calls(bare, calls, at_once=1)))
                rates["ledger"].append(await _wall(lambda: subject.calls(calls, at_once=TASKS)))
                rates["bare"].append(await _wall(lambda: _bare_calls(bare, calls, at_once=TASKS)))
        finally:
            bare.close()
            await subject.aclose()
    suffix = SLOWER if slow else ""
    cpu = [median(alone[one]) / calls * 1e6 for one in ("ledger", "bare")]
    rate = [calls / median(rates[one]) for one in ("ledger", "bare")]
    return [
        _ratio(f"SQLite alone, bare two transactions{suffix}", *cpu, unit="us CPU", at_most=2.5),
        _ratio(
            f"SQLite {TASKS} tasks, bare group commit{suffix}", *rate, unit="calls/s", at_least=0.5
        ),
    ]


def compare_processes(*, calls: int) -> Ratio:
    """How long a reserve takes among four processes on one SQLite file: p99 over median."""
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as name:
        url = f"sqlite:///{name}/ledger.db"
        command = [sys.executable, "-m", "orchestrator.bench.ledger.subject", url, str(calls)]
        running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
            for _ in range(PROCESSES)
        ]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        taken = sorted(one for process in running for one in json.loads(process.communicate()[0]))
    middle, p99 = median(taken), taken[int(0.99 * len(taken))]
    return _ratio(
        f"SQLite {PROCESSES} processes, p99 of a reserve over its median",
        p99,
        middle,
        unit="us",
        at_most=20,
    )


async def compare_postgres(url: str, *, rounds: int, calls: int, slow: bool) -> Ratio:
    """One hot budget: 64 tasks of a ledger, and one conditional UPDATE on each of 64 connections.

    A call of the ledger reserves, settles and journals; the rival's one statement only reserves.
    With ``slow`` the server waits a millisecond before each time it brings its log to the disk.
    """
    ours: list[float] = []
    theirs: list[float] = []
    if slow:
        url = with_slow_commits(url)
    joined = "&" if "?" in url else "?"
    subject = Subject(f"{url}{joined}schema=bench_{uuid4().hex}", budgets=("team",))
    await subject.open()
    bare = BarePostgres(url)
    try:
        await bare.open(CONNECTIONS)
        await subject.calls(calls, at_once=CONNECTIONS)
        for _ in range(rounds):
            ours.append(calls / await _wall(lambda: subject.calls(calls, at_once=CONNECTIONS)))
            theirs.append(calls / await _wall(lambda: bare.calls(calls)))
    finally:
        await subject.aclose()
        await bare.aclose()
    return _ratio(
        f"PostgreSQL, one hot budget, {CONNECTIONS} tasks, conditional UPDATE on as many"
        f" connections{SLOWER if slow else ''}",
        median(ours),
        median(theirs),
        unit="calls/s",
        at_least=5,
    )


def with_slow_commits(url: str) -> str:
    """The URL of the same database, which a superuser's sessions make wait when they commit."""
    joined = "&" if "?" in url else "?"
    delay_us = round(SLOW_S * 1e6)
    options = quote(f"-c commit_delay={delay_us} -c commit_siblings=0")
    return f"{url}{joined}options={options}"


async def compare_litellm(*, rounds: int, calls: int) -> list[Ratio]:
    """Reserve, settle and journal on a tree of four budgets, beside one bare completion."""
    ratios: list[Ratio] = []
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as name:
        subject = Subject(f"sqlite:///{name}/ledger.db")
        await subject.open()
        try:
            async with LitellmRival(Path(name)) as litellm:
                await _completions(litellm, calls, at_once=1)
                for at_once, most in ((1, 0.08), (TASKS, 0.04)):
                    money: list[float] = []
                    asking: list[float] = []
                    for _ in range(rounds):
                        money.append(
                            await _cpu(partial(subject.calls, 10 * calls, at_once=at_once))
                        )
                        asking.append(
                            await _cpu(partial(_completions, litellm, calls, at_once=at_once))
                        )
                    ratios.append(
                        _ratio(
                            f"money path, litellm.acompletion, {at_once} at once",
                            median(money) / (10 * calls) * 1e6,
                            median(asking) / calls * 1e6,
                            unit="us CPU",
                            at_most=most,
                        )
                    )
        finally:
            await subject.aclose()
    return ratios


async def _completions(litellm: LitellmRival, count: int, *, at_once: int) -> None:
    async def work() -> None:
        for number in range(count // at_once):
            await litellm.ask(number, 1000)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def _bare_calls(bare: BareSqlite, count: int, *, at_once: int) -> None:
    for _ in range(count // at_once):
        ids = [uuid4().hex for _ in range(at_once)]
        bare.reserve(ids, time.time_ns() // 1000)
        bare.settle(ids, b"y" * 1000)


async def _cpu(work: Callable[[], Awaitable[None]]) -> float:
    begun = time.process_time()
    await work()
    return time.process_time() - begun


async def _wall(work: Callable[[], Awaitable[None]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


@contextmanager
def _disk(*, slow: bool) -> Iterator[None]:
    def wait(access: str) -> int:
        if access == "sync":
            time.sleep(SLOW_S)
        return 0

    with disk(wait) if slow else nullcontext():
        yield


def _ratio(
    what: str,
    ledger: float,
    yardstick: float,
    *,
    unit: str,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Ratio:
    ratio = ledger / yardstick
    return Ratio(
        what=what,
        ledger=ledger,
        yardstick=yardstick,
        unit=unit,
        ratio=ratio,
        target=f"<= {at_most}" if at_least is None else f">= {at_least}",
        is_met=(at_most is None or ratio <= at_most) and (at_least is None or ratio >= at_least),
    )
