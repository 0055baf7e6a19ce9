"""How much of a skewed stream of tasks a memo of limited size answers, beside the best possible.

Tasks recur with Zipf-distributed frequency. Two bounds stand beside the memo's hit rate: a store
that *knows the popularity* of every task and keeps the most popular ones, the best any store can do
without seeing the future; and a store that *sees the future* (Belady's rule).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit
from orchestrator.memo.backing import TRIM_EVERY
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import model_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings, StoreSettings

_SCOPE = Scope(org="bench", team="bench", agent="bench", task_id="bench", tenant="bench")
_RULES = MemoSettings(fresh_for_s=1e9, share="team")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipfReport:
    """Hit rates on one stream, as shares of its asks.

    Attributes:
        asks: Length of the stream.
        tasks: Tasks it draws from.
        exponent: Skew: the frequency of the n-th task is proportional to n to the minus this.
        capacity: Entries the store may hold.
        memo: The memo's hit rate.
        least_recently_stored: The hit rate of diskcache's default rule.
        known_popularity: The best possible for one who knows every task's frequency.
        known_future: The best possible for one who knows the stream.
    """

    asks: int
    tasks: int
    exponent: float
    capacity: int
    memo: float
    least_recently_stored: float
    known_popularity: float
    known_future: float


def zipf_stream(*, asks: int, tasks: int, exponent: float, seed: int) -> list[int]:
    """A stream of task numbers."""
    weights = itertools.accumulate((rank + 1) ** -exponent for rank in range(tasks))
    generator = random.Random(seed)  # noqa: S311 - a stream to be repeated, not a secret
    return generator.choices(range(tasks), cum_weights=list(weights), k=asks)


async def run_zipf(
    *,
    asks: int = 200_000,
    tasks: int = 10_000,
    exponent: float = 1.0,
    capacity: int = 1_000,
    seed: int = 1,
) -> ZipfReport:
    """Send one stream through a memo, and through the bounds."""
    stream = zipf_stream(asks=asks, tasks=tasks, exponent=exponent, seed=seed)
    return ZipfReport(
        asks=asks,
        tasks=tasks,
        exponent=exponent,
        capacity=capacity,
        memo=await memo_hits(stream, capacity) / asks,
        least_recently_stored=least_recently_stored_hits(stream, capacity) / asks,
        known_popularity=known_popularity_hits(stream, capacity) / asks,
        known_future=known_future_hits(stream, capacity) / asks,
    )


async def memo_hits(stream: Sequence[int], capacity: int) -> int:
    """Hits of the memo."""
    hits = 0
    # Trimming comes after so many puts: leave room for them, and the store never holds more.
    store = MemoryStore(StoreSettings(max_entries=capacity - TRIM_EVERY))
    async with Memo(store) as memo:
        for task in stream:
            content = model_content([{"role": "user", "content": f"task {task}"}])
            ask = Ask(scope=_SCOPE, step="bench", settings=_RULES, content=content)
            found = await memo.lookup(ask)
            if isinstance(found, Hit):
                hits += 1
            elif found.lease is not None:
                await memo.put(found.lease, Answer(reply=b"", model="bench", complete=True))
    return hits


def least_recently_stored_hits(stream: Sequence[int], capacity: int) -> int:
    """Hits of a store that lets the oldest go."""
    held: dict[int, None] = {}
    hits = 0
    for task in stream:
        if task in held:
            hits += 1
            continue
        if len(held) >= capacity:
            del held[next(iter(held))]
        held[task] = None
    return hits


def known_popularity_hits(stream: Sequence[int], capacity: int) -> int:
    """Hits of a store that keeps the tasks this stream asks for most, once it has met them."""
    counts = Counter(stream)
    kept = {task for task, _ in counts.most_common(capacity)}
    return sum(counts[task] - 1 for task in kept)


def known_future_hits(stream: Sequence[int], capacity: int) -> int:
    """Hits of a store that lets go, or does not take, what is next asked for last."""
    never = len(stream)
    upcoming = [never] * len(stream)
    last: dict[int, int] = {}
    for place in range(len(stream) - 1, -1, -1):
        upcoming[place] = last.get(stream[place], never)
        last[stream[place]] = place
    held: dict[int, int] = {}
    furthest: list[tuple[int, int]] = []
    hits = 0
    for place, task in enumerate(stream):
        hits += task in held
        held[task] = upcoming[place]
        heapq.heappush(furthest, (-upcoming[place], task))
        while len(held) > capacity:
            then, doomed = heapq.heappop(furthest)
            if held.get(doomed) == -then:
                del held[doomed]
    return hits
