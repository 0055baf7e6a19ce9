"""What a hit, a store and a miss take, side by side with other caches in one run.

The rivals take turns within every round, so that a machine that slows down slows all of them; only
ratios of the same run mean anything.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from orchestrator.bench.memo.rivals import (
    DiskcacheRival,
    LangchainRival,
    LitellmRival,
    MemoRival,
    Rival,
    StepRival,
    in_a_task,
)

SIZES = (1_000, 20_000)
WORKERS = 8
_BARE = "diskcache"
_FAST = ("memo", _BARE)
_WARM_UP = 0.1
_SETTLE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One kind of work of one rival.

    Attributes:
        rival: Who; ``step`` is a hit as a graph sees it, ``memo`` the memo alone.
        work: ``store``; ``hit``, the first of each reply since it was stored; ``hit again``;
            ``hit, 8 tasks`` or ``hit, 8 threads``.
        size: Bytes of prompt and reply, each.
        median_us: The median, in microseconds.
        p99_us: The 99th percentile, in microseconds.
        times_bare: The median over that of bare diskcache in the same run.
    """

    rival: str
    work: str
    size: int
    median_us: float
    p99_us: float
    times_bare: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyReport:
    """All timings of one run.

    Attributes:
        timings: By work, size and rival.
        miss_us: CPU of a miss's lookup, in microseconds, by size; what the memo adds to asking.
        completion_us: CPU of one bare ``litellm.acompletion``, by size; empty if not measured.
        absent: Why other caches were not measured.
    """

    timings: tuple[Timing, ...]
    miss_us: dict[int, float]
    completion_us: dict[int, float]
    absent: tuple[str, ...] = ()


async def run_latency(
    *, rounds: int = 25, operations: int = 200, with_litellm: bool = True
) -> LatencyReport:
    """Measure all rivals that are installed.

    Args:
        rounds: Rounds, in each of which every rival has one turn.
        operations: Operations of one turn; a tenth as many for litellm and langchain.
        with_litellm: Whether to load litellm, which takes seconds.
    """
    with tempfile.TemporaryDirectory(prefix="bench-memo-") as name:
        directory = Path(name)
        async with AsyncExitStack() as stack:
            memo = MemoRival(directory)
            await stack.enter_async_context(memo.memo)
            rivals: list[Rival] = [memo, DiskcacheRival(directory)]
            absent: list[str] = []
            litellm = None
            if with_litellm:
                litellm = await stack.enter_async_context(LitellmRival(directory))
            for make in (lambda: litellm, lambda: LangchainRival(directory)):
                absent += await _admit(rivals, make)
            rivals.append(StepRival())
            timings: list[Timing] = []

            async def measure() -> None:
                for size in SIZES:
                    timings.extend(await _measure(rivals, size, rounds, operations))

            await in_a_task(directory, measure)
            misses = {size: await _miss_us(memo, size, rounds, operations) for size in SIZES}
            completions = {}
            if litellm is not None:
                for size in SIZES:
                    completions[size] = await _completion_us(litellm, size, rounds)
    return LatencyReport(
        timings=tuple(timings),
        miss_us=misses,
        completion_us=completions,
        absent=tuple(absent),
    )


async def _admit(rivals: list[Rival], make: Callable[[], Rival | None]) -> list[str]:
    """Add a rival if it works here; otherwise say why it does not."""
    try:
        rival = make()
        if rival is not None:
            await rival.prepare(-1, SIZES[0])
            await rival.store(-1, SIZES[0])
            await asyncio.sleep(_SETTLE_S)
            await rival.hit(-1, SIZES[0])
            rivals.append(rival)
    except ImportError as error:
        return [str(error)]
    return []


async def _measure(
    rivals: Sequence[Rival], size: int, rounds: int, operations: int
) -> list[Timing]:
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds):
        for rival in rivals:
            fast = rival.name in _FAST
            is_quick = fast or isinstance(rival, StepRival)
            count = operations if is_quick else max(1, operations // 10)
            numbers = range(turn * operations, turn * operations + count)
            await _timed(rival.prepare, numbers, size)
            if not isinstance(rival, StepRival):
                _note(seconds, rival, "store", await _timed(rival.store, numbers, size))
            # litellm stores in tasks of its own: let them end.
            await asyncio.sleep(0 if fast else _SETTLE_S)
            _note(seconds, rival, "hit", await _timed(rival.hit, numbers, size))
            if is_quick:
                _note(seconds, rival, "hit again", await _timed(rival.hit, numbers, size))
                hits = await _in_tasks(rival, numbers, size)
                _note(seconds, rival, f"hit, {WORKERS} tasks", hits)
            if fast:
                hits = await asyncio.to_thread(_in_threads, rival, numbers, size)
                _note(seconds, rival, f"hit, {WORKERS} threads", hits)
            else:
                await asyncio.sleep(_SETTLE_S)  # the ledger writes on a thread of its own
    return list(_timings(seconds, size))


def _note(
    seconds: dict[tuple[str, str], list[float]], rival: Rival, work: str, taken: list[float]
) -> None:
    seconds.setdefault((work, rival.name), []).extend(taken)


def _timings(seconds: dict[tuple[str, str], list[float]], size: int) -> Iterator[Timing]:
    for (work, rival), taken in sorted(seconds.items()):
        middle = median(taken)
        yield Timing(
            rival=rival,
            work=work,
            size=size,
            median_us=middle * 1e6,
            p99_us=sorted(taken)[int(0.99 * len(taken))] * 1e6,
            times_bare=middle / median(seconds[work, _BARE]) if (work, _BARE) in seconds else 0.0,
        )


async def _timed(
    call: Callable[[int, int], Awaitable[None]], numbers: range, size: int
) -> list[float]:
    taken = []
    for number in numbers:
        start = time.perf_counter()
        await call(number, size)
        taken.append(time.perf_counter() - start)
    return taken[int(_WARM_UP * len(taken)) :]


async def _in_tasks(rival: Rival, numbers: range, size: int) -> list[float]:
    async def one() -> list[float]:
        taken = []
        for number in numbers:
            start = time.perf_counter()
            await rival.hit(number, size)
            taken.append(time.perf_counter() - start)
            await asyncio.sleep(0)
        return taken

    every = await asyncio.gather(*(one() for _ in range(WORKERS)))
    return [taken for one_taken in every for taken in one_taken]


def _in_threads(rival: Rival, numbers: range, size: int) -> list[float]:
    taken: list[float] = []

    def one() -> None:
        taken.extend(asyncio.run(_timed(rival.hit, numbers, size)))

    threads = [threading.Thread(target=one) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


async def _miss_us(memo: MemoRival, size: int, rounds: int, operations: int) -> float:
    taken = []
    for turn in range(rounds):
        start = time.process_time()
        for number in range(operations):
            await memo.miss(turn * operations + number, size)
        taken.append((time.process_time() - start) / operations)
    return median(taken) * 1e6


async def _completion_us(litellm: LitellmRival, size: int, rounds: int, calls: int = 20) -> float:
    taken = []
    for turn in range(rounds):
        start = time.process_time()
        for number in range(calls):
            await litellm.ask(turn * calls + number, size)
        taken.append((time.process_time() - start) / calls)
    return median(taken) * 1e6
