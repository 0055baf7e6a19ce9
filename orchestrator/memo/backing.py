"""The store as the memo uses it: awaited, its faults turned into ``None``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from orchestrator.core.clock import Clock
from orchestrator.core.sealing import EncryptionError, Seal
from orchestrator.memo.entry import Entry, EntryDamaged, decode, encode
from orchestrator.memo.faults import FaultGuard, Side
from orchestrator.memo.freshness import Source
from orchestrator.memo.sources import ensure_sources, read_sources, touch_source
from orchestrator.memo.store import Store, StoreBusy, StoreFault, ValueRefused

_T = TypeVar("_T")
BUSY_FOR_S = 2.0
TRIM_EVERY = 64
REMOTE_THREADS = 8
MAX_DECODED = 1_024


class Backing:
    """A store behind its guard.

    A direct store is called on the spot: handing a call to a thread and back costs several times
    the call. What is slow (opening, trimming, waiting for a turn to write) goes to a thread of the
    memo's own, which user code cannot fill.
    """

    def __init__(self, store: Store, guard: FaultGuard, clock: Clock, seal: Seal) -> None:
        """Name the parts; replies are sealed, the facts about them are not."""
        self._seal = seal
        self.store = store
        self.guard = guard
        self._clock = clock
        self._threads = ThreadPoolExecutor(
            1 if store.direct else REMOTE_THREADS, thread_name_prefix="memo"
        )
        self._until_trim = TRIM_EVERY
        self._entries: dict[str, tuple[bytes, Entry]] = {}
        self._is_open = False

    async def open(self) -> None:
        """Open the store; if that fails both sides rest, and then it is tried again."""
        try:
            await self._on_thread(self.store.open)
        except StoreFault as error:
            self.guard.failed("read", error)
            self.guard.failed("write", error)
        else:
            self._is_open = True

    async def aclose(self) -> None:
        """Finish what is queued, and close the store."""
        await asyncio.to_thread(self._threads.shutdown)
        self._is_open = False
        try:
            self.store.close()
        except StoreFault as error:
            self.guard.failed("write", error)

    async def entry(self, key: str, *, again: bool = False) -> Entry | None:
        """The readable entry under ``key``, if any; ``again``: the same ask looks once more."""
        try:
            if self.store.direct and self._is_open and not self.guard.is_resting:
                try:
                    body = self.store.get(key, counts=not again)
                except StoreFault:  # once more, with patience, and noted if it fails again
                    body = await self._call("read", lambda: self.store.get(key, counts=False))
            else:
                body = await self._call("read", lambda: self.store.get(key, counts=not again))
            if body is None:
                return None
            entry = self._decoded(body, key)
        except (ValueRefused, EntryDamaged, EncryptionError) as error:
            self.guard.damaged(error)
            return None
        self.guard.worked("read")
        return entry

    async def keep(self, entry: Entry, keep_for_s: float) -> str:
        """Store an entry; in one word why it could not be, or nothing."""
        body = encode(entry._replace(reply=self._seal.close(entry.reply)))

        def write() -> bool:
            self.store.put(entry.key, body, keep_for_s=keep_for_s)
            return True

        try:
            if not await self._call("write", write):
                return "fault"
        except ValueRefused:
            return "too-large"
        self.guard.worked("write")
        self._remember(body, entry)
        self._until_trim -= 1
        if self._until_trim <= 0:
            self._until_trim = TRIM_EVERY
            self._threads.submit(self._trim)
        return ""

    async def sources(self, tenant: str, names: Iterable[str]) -> Mapping[str, Source]:
        """The known sources among ``names``; none if the store fails, and all count as changed."""
        found = await self._call("read", lambda: read_sources(self.store, tenant, names))
        return found or {}

    async def all_sources(self, tenant: str, names: Iterable[str]) -> Mapping[str, Source] | None:
        """Every source of ``names``, with a first version if it has none."""
        return await self._call(
            "write", lambda: ensure_sources(self.store, tenant, names, self._clock)
        )

    async def touch(self, tenant: str, name: str, version: str | None) -> Source | None:
        """Record that a source changed."""
        return await self._call(
            "write",
            lambda: touch_source(self.store, tenant, name, version=version, clock=self._clock),
        )

    async def claim(self, key: str) -> bool | None:
        """Try to take the claim of a flight; ``None`` if the store fails.

        A store that cannot be written shares nothing between processes, so no one waits for it.
        """
        if not self.guard.usable("write") or not self._is_open:
            return None
        if self.store.direct:
            return await self._call("claim", lambda: self.store.claim(key))
        taking: Future[bool] = self._threads.submit(self.store.claim, key)
        try:
            return await asyncio.wrap_future(taking)
        except StoreFault as error:
            self.guard.failed("claim", error)
            return None
        except asyncio.CancelledError:
            taking.add_done_callback(lambda done: self._give_back(key, done))
            raise

    def release(self, key: str) -> None:
        """Give the claim of a flight back."""
        if self.store.direct:
            self._release(key)
        else:
            self._threads.submit(self._release, key)

    def _decoded(self, body: bytes, key: str) -> Entry:
        """Decode, unless the same bytes were decoded or encoded last."""
        known = self._entries.get(key)
        if known is not None and known[0] == body:
            return known[1]
        entry = decode(body, key)
        return self._remember(body, entry._replace(reply=self._seal.open(entry.reply)))

    def _remember(self, body: bytes, entry: Entry) -> Entry:
        if len(self._entries) >= MAX_DECODED:
            self._entries = {}
        self._entries[entry.key] = (body, entry)
        return entry

    async def _call(self, side: Side, call: Callable[[], _T]) -> _T | None:
        """Call the store unless that side rests; ``None`` if it rests or fails."""
        if not self.guard.usable(side):
            return None
        if not self._is_open:
            await self.open()
            if not self._is_open:
                return None
        try:
            if self.store.direct:
                try:
                    return call()
                except StoreBusy:
                    return await self._on_thread(lambda: _insist(call))
            return await self._on_thread(call)
        except StoreFault as error:
            self.guard.failed(side, error)
            return None

    async def _on_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._threads.submit(call))

    def _trim(self) -> None:
        try:
            self.store.trim()
        except StoreFault as error:
            self.guard.failed("write", error)

    def _release(self, key: str) -> None:
        try:
            self.store.release(key)
        except StoreFault as error:
            self.guard.failed("claim", error)

    def _give_back(self, key: str, done: Future[bool]) -> None:
        """A claim came through after its asker was cancelled."""
        if not done.cancelled() and done.exception() is None and done.result():
            self._release(key)


def _insist(call: Callable[[], _T]) -> _T:
    """Call until it gets its turn, for :data:`BUSY_FOR_S` at most."""
    until = time.monotonic() + BUSY_FOR_S
    while True:
        try:
            return call()
        except StoreBusy:
            if time.monotonic() >= until:
                raise
