"""How much of a skewed stream of tasks a memo of limited size answers, beside the best possible.

Tasks recur with Zipf-distributed frequency, each ask drawn on its own (the independent reference
model), and now and then popularity moves to other tasks. Two bounds stand beside the memo's hit
rate: a store that *knows the popularity* of every task and keeps the most popular ones, the best
any store can do without seeing the future; and a store that *sees the future* (Belady's rule). The
first asks, from which a store learns what is popular, are counted for no one.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit, Miss
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings, StoreSettings

_SCOPE = Scope(org="bench", team="bench", agent="bench", task_id="bench", tenant="bench")
_RULES = MemoSettings(fresh_for_s=1e9, share="team")


WARM_UP = 50
"""Asks per entry of capacity that come before those that are counted."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Tasks in the order they are asked for.

    Attributes:
        asks: Numbers of tasks.
        rankings: For each part of the stream, all parts equally long, all tasks by their true
            frequency, the most frequent first.
    """

    asks: Sequence[int]
    rankings: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipfReport:
    """Hit rates on one stream, as shares of its asks after the warm-up.

    Attributes:
        asks: Length of the stream.
        warm_up: Asks at its beginning that are not counted.
        tasks: Tasks it draws from.
        exponent: Skew: the frequency of the n-th task is proportional to n to the minus this.
        shifts: How often a tenth of all tasks change their places by frequency.
        capacity: Entries the store may hold.
        memo: The memo's hit rate.
        least_recently_stored: The hit rate of diskcache's default rule.
        known_popularity: The best possible for one who knows every task's true frequency.
        known_future: The best possible for one who knows the stream.
    """

    asks: int
    warm_up: int
    tasks: int
    exponent: float
    shifts: int
    capacity: int
    memo: float
    least_recently_stored: float
    known_popularity: float
    known_future: float


def zipf_stream(*, asks: int, tasks: int, exponent: float, seed: int, shifts: int = 0) -> Stream:
    """A stream of simulated tasks."""
    weights = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(tasks)))
    generator = random.Random(seed)  # noqa: S311 - a stream to be repeated, not a secret
    ranking = list(range(tasks))
    rankings, stream = (
        [ranking],
        generator.choices(ranking, cum_weights=weights, k=asks // (shifts + 1)),
    )
    for _ in range(shifts):
        ranking = list(ranking)
        places = generator.sample(range(tasks), tasks // 10)
        for place, other in zip(places, places[1:] + places[:1], strict=True):
            ranking[place] = rankings[-1][other]
        rankings.append(ranking)
        stream += generator.choices(ranking, cum_weights=weights, k=asks // (shifts + 1))
    return Stream(stream, rankings)


async def run_zipf(
    *,
    asks: int = 200_000,
    tasks: int = 10_000,
    exponent: float = 1.0,
    shifts: int = 0,
    capacity: int = 1_000,
    seed: int = 1,
) -> ZipfReport:
    """Send one stream through a memo, and through the bounds."""
    stream = zipf_stream(asks=asks, tasks=tasks, exponent=exponent, seed=seed, shifts=shifts)
    warm_up = WARM_UP * capacity
    counted = len(stream.asks) - warm_up
    return ZipfReport(
        asks=len(stream.asks),
        warm_up=warm_up,
        tasks=tasks,
        exponent=exponent,
        shifts=shifts,
        capacity=capacity,
        memo=sum((await memo_hits(stream, capacity))[warm_up:]) / counted,
        least_recently_stored=sum(least_recently_stored_hits(stream, capacity)[warm_up:]) / counted,
        known_popularity=sum(known_popularity_hits(stream, capacity)[warm_up:]) / counted,
        known_future=sum(known_future_hits(stream, capacity)[warm_up:]) / counted,
    )


async def memo_hits(stream: Stream, capacity: int) -> list[bool]:
    """Which asks the memo answers."""
    hits = []
    async with Memo(MemoryStore(StoreSettings(max_entries=capacity))) as memo:
        for task in stream.asks:
            content = model_content([{"role": "user", "content": f"task {task}"}])
            ask = Ask(scope=_SCOPE, step="bench", settings=_RULES, content=content)
            found = await memo.lookup(ask)
            hits.append(isinstance(found, Hit))
            if isinstance(found, Miss) and found.lease is not None:
                await memo.put(found.lease, Answer(reply=b"", model="bench", complete=True))
    return hits


def least_recently_stored_hits(stream: Stream, capacity: int) -> list[bool]:
    """Which asks a store answers that lets the oldest go."""
    held: dict[int, None] = {}
    hits = []
    for task in stream.asks:
        hits.append(task in held)
        if not hits[-1]:
            if len(held) >= capacity:
                del held[next(iter(held))]
            held[task] = None
    return hits


def known_popularity_hits(stream: Stream, capacity: int) -> list[bool]:
    """Which asks a store answers that keeps the most popular tasks, once it has met them."""
    met: set[int] = set()
    hits = []
    part = len(stream.asks) // len(stream.rankings)
    for number, ranking in enumerate(stream.rankings):
        kept = set(ranking[:capacity])
        for task in stream.asks[number * part : (number + 1) * part]:
            hits.append(task in kept and task in met)
            met.add(task)
    return hits


def known_future_hits(stream: Stream, capacity: int) -> list[bool]:
    """Which asks a store answers that lets go, or does not take, what is next asked for last."""
    never = len(stream.asks)
    upcoming = [never] * never
    last: dict[int, int] = {}
    for place in range(never - 1, -1, -1):
        upcoming[place] = last.get(stream.asks[place], never)
        last[stream.asks[place]] = place
    held: dict[int, int] = {}
    furthest: list[tuple[int, int]] = []
    hits = []
    for place, task in enumerate(stream.asks):
        hits.append(task in held)
        held[task] = upcoming[place]
        heapq.heappush(furthest, (-upcoming[place], task))
        while len(held) > capacity:
            then, doomed = heapq.heappop(furthest)
            if held.get(doomed) == -then:
                del held[doomed]
    return hits
