"""The way in: look up before asking, put after accepting.

::

    found = await memo.lookup(ask, wait_s=remaining_s)
    if isinstance(found, Hit):
        return found.entry.reply
    try:
        answer = ...                              # ask, check, pay
        if found.lease is not None:
            await memo.put(found.lease, answer)
    finally:
        memo.release(found.lease)                 # nothing to do after a put
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from types import MappingProxyType
from typing import Self

from orchestrator.core.clock import Clock, SystemClock
from orchestrator.core.sealing import Seal
from orchestrator.memo.ask import Ask, Hit, HitState, Lease, Miss, Put, Renewal
from orchestrator.memo.backing import Backing
from orchestrator.memo.entry import Answer, Entry, EntryDamaged
from orchestrator.memo.faults import Fault, FaultGuard, OnFault
from orchestrator.memo.flight import Flight, Flights, Signal, WaitedOut
from orchestrator.memo.freshness import Source, Verdict, drawn, judge
from orchestrator.memo.key import Unkeyable, entry_key
from orchestrator.memo.offer import entry_of, is_outdone
from orchestrator.memo.sharing import NotShareable
from orchestrator.memo.stats import MemoStats
from orchestrator.memo.store import Store

_POLL_FIRST_S = 0.002
_POLL_LAST_S = 0.05
_ABSENT = Verdict("expired", "it was not asked before")
_NO_SOURCES: Mapping[str, Source] = MappingProxyType({})
_REFUSED = Verdict("unfit", "this asker's own check refused it")


def ignore_faults(_fault: Fault) -> None:
    """Report to no one."""


class Memo:
    """Answers already paid for. Safe across tasks, event loops, threads and processes.

    A fault of the store never reaches a caller: it is a miss, and is reported once.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        on_fault: OnFault = ignore_faults,
        seal: Seal | None = None,
    ) -> None:
        """Name the parts; nothing is opened before :meth:`open`."""
        self.stats = MemoStats()
        self._clock = clock or SystemClock()
        guard = FaultGuard(self._clock, on_fault)
        self._backing = Backing(store, guard, self._clock, seal or Seal())
        self._flights = Flights(self._over)

    async def open(self) -> None:
        """Open the store. One that cannot be opened is reported, and every ask is a miss."""
        await self._backing.open()

    async def aclose(self) -> None:
        """Finish what is queued, and close the store."""
        await self._backing.aclose()

    async def __aenter__(self) -> Self:
        """Open."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.aclose()

    async def lookup(
        self,
        ask: Ask,
        *,
        wait_s: float | None = None,
        waiting: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> Hit | Miss:
        """Answer from the memo, or say that this asker is to ask.

        Args:
            ask: What is asked.
            wait_s: Seconds this asker can wait for another that asks the same; ``None``: as long
                as that one lives.
            waiting: A context to wait in, entered only if there is something to wait for; it may
                end the wait.

        Raises:
            WaitedOut: If that time ran out.
        """
        keyed = self._keyed(ask)
        if isinstance(keyed, Miss):
            return keyed
        key, digest = keyed
        now_s = self._now_s()
        if self._backing.store.direct:
            entry, verdict = await self._find(ask, key, now_s)
        else:
            async with waiting():
                entry, verdict = await self._find(ask, key, now_s)
        if entry is not None and verdict.answers:
            return self._hit(ask, entry, verdict, now_s)
        until = None if wait_s is None else time.monotonic() + wait_s
        async with waiting():
            return await self._join(ask, key, digest, until)

    async def _join(self, ask: Ask, key: str, digest: bytes, until: float | None) -> Hit | Miss:
        """Ask, or wait for who does."""
        while True:
            turn = self._flights.join(key)
            if isinstance(turn, Flight):
                return await self._lead(turn, ask, digest, until)
            outcome = await self._flights.wait(turn, _left(until))
            if outcome is Signal.LEAD:
                return await self._lead(turn.flight, ask, digest, until)
            if outcome is Signal.ALONE:
                return self._miss(ask, "alone", "another asker's answer could not be shared")
            # Whatever an answer's time, it is fresh for those who waited for it.
            verdict = _judged(ask, outcome, await self._sources(outcome), outcome.created_s)
            if verdict.answers:
                return self._hit(ask, outcome, verdict, self._now_s(), shared=True)

    async def put(self, lease: Lease, answer: Answer, *, differs: bool = True) -> Put:
        """Offer an accepted answer, and give it to everyone who waits for it.

        Best effort: that an answer is not stored is said in the result, never raised.

        Args:
            lease: From :meth:`lookup`.
            answer: The answer.
            differs: For a re-run: whether the answer means something else than the entry did.
        """
        if not lease.open:
            return Put(stored=False, reason="released")
        lease.open = False
        step = lease.ask.step
        if lease.purpose == "rerun":
            self.stats.rerun(step, differs=differs)
        entry = entry_of(lease, answer, self._now_s())
        if isinstance(entry, str):
            self._flights.disperse(lease.flight)
            self.stats.put(step, entry)
            return Put(stored=False, reason=entry)
        try:
            if is_outdone(lease, entry, self._now_s(), differs=differs):
                reason = "weaker"
            else:
                reason = await self._backing.keep(entry, lease.ask.settings.keep_for_s)
        finally:
            # Only those under the same walls may have it.
            if entry.key == lease.key:
                self._flights.land(lease.flight, entry)
            else:
                self._flights.disperse(lease.flight)
        self.stats.put(step, reason or None)
        return Put(stored=not reason, reason=reason)

    def release(self, lease: Lease | None) -> None:
        """Give up asking: exactly one of those who wait asks instead. After a put: nothing."""
        if lease is not None and lease.open:
            lease.open = False
            self._flights.hand_over(lease.flight)

    async def renew(self, ask: Ask, hit: Hit) -> Lease | None:
        """The lease to ask anew what has answered; ``None`` if someone does, or has done so.

        Until it is put or released, others are answered by the entry for as long as it may answer,
        and then wait for the lease as for any other.
        """
        assert hit.due is not None
        flight = self._flights.lead(hit.entry.key)
        if flight is None:
            return None
        lease = None
        try:
            flight.claimed = bool(await self._backing.claim(flight.key))
            if flight.claimed:
                entry, verdict = await self._find(ask, flight.key, self._now_s(), again=True)
                if entry == hit.entry and verdict.answers:
                    lease = await self._lease(flight, ask, ask.digest(), entry)
        finally:
            if lease is None:
                self._flights.hand_over(flight)
        if lease is not None:
            lease.purpose = hit.due
        return lease

    def if_error(self, lease: Lease | None) -> Hit | None:
        """The expired entry that may answer now that asking failed (``stale_if_error``)."""
        if lease is None or lease.known is None or self._now_s() > lease.expires_s:
            return None
        return self._served(lease.ask, lease.known, "error", self._now_s())

    def unreadable(self, entry: Entry) -> None:
        """Report that who asked cannot read a reply; ask again with it as ``Ask.refused``."""
        message = f"the reply of entry {entry.key[:12]} to {entry.step!r} cannot be read"
        self._backing.guard.damaged(EntryDamaged(message))

    async def touch(self, tenant: str, source: str, version: str | None = None) -> str | None:
        """Record that ``source`` changed: exactly what was made from another version is stale.

        Returns:
            The source's version now; ``None`` if the store could not record it.
        """
        touched = await self._backing.touch(tenant, source, version)
        return None if touched is None else touched.version

    async def versions(self, tenant: str, *names: str) -> Mapping[str, str] | None:
        """Present versions of sources, for ``Answer.reads``; take them before reading the sources.

        Returns:
            One version for each name; ``None`` if the store fails: then what is made from them is
            not to be put.
        """
        sources = await self._backing.all_sources(tenant, names)
        if sources is None:
            return None
        return {name: source.version for name, source in sources.items()}

    def _keyed(self, ask: Ask) -> tuple[str, bytes] | Miss:
        """The key of an ask and the digest of its request, or why it has none."""
        partition = ask.partition()
        if isinstance(partition, NotShareable):
            return self._miss(ask, "secret-or-no-user", partition.why)
        try:
            digest = ask.digest()
        except Unkeyable as error:
            return self._miss(ask, "no-key", str(error))
        return entry_key(partition, digest), digest

    async def _lead(
        self, flight: Flight, ask: Ask, digest: bytes, until: float | None
    ) -> Hit | Miss:
        """Hold the claim between processes, then look once more before asking."""
        try:
            await self._claim(flight, until)
            now_s = self._now_s()
            entry, verdict = await self._find(ask, flight.key, now_s, again=True)
            if entry is not None and verdict.answers:
                self._flights.land(flight, entry)
                return self._hit(ask, entry, verdict, now_s, shared=True)
            lease = await self._lease(flight, ask, digest, entry)
        except BaseException:
            self._flights.hand_over(flight)
            raise
        if lease is None:
            self._flights.disperse(flight)
            return self._miss(ask, "fault", "the versions of its sources cannot be read")
        if verdict.state == "expired":
            lease.expires_s = verdict.until_s
        reason = "absent" if entry is None else verdict.state
        return self._miss(ask, reason, verdict.why, lease)

    async def _claim(self, flight: Flight, until: float | None) -> None:
        """Wait for the claim between processes. Without a usable store: go on without it."""
        pause_s = _POLL_FIRST_S
        while not flight.claimed:
            taken = await self._backing.claim(flight.key)
            if taken is None:
                return
            flight.claimed = taken
            if taken:
                return
            left_s = _left(until)
            if left_s is not None and left_s <= 0:
                message = "the time ran out while another process was asking the same request"
                raise WaitedOut(message)
            await asyncio.sleep(pause_s if left_s is None else min(pause_s, left_s))
            pause_s = min(2 * pause_s, _POLL_LAST_S)

    async def _lease(
        self, flight: Flight, ask: Ask, digest: bytes, known: Entry | None
    ) -> Lease | None:
        """A lease with the sources as they are before asking; ``None`` if they are unknown."""
        names = set(ask.settings.reads) | (known.reads.keys() if known else set())
        sources: Mapping[str, Source] | None = {}
        if names:
            sources = await self._backing.all_sources(ask.scope.tenant, names)
        if sources is None:
            return None
        return Lease(
            ask=ask, digest=digest, key=flight.key, flight=flight, sources=sources, known=known
        )

    def _over(self, flight: Flight) -> None:
        """A flight is over: give its claim back."""
        if flight.claimed:
            flight.claimed = False
            self._backing.release(flight.key)

    async def _find(
        self, ask: Ask, key: str, now_s: float, *, again: bool = False
    ) -> tuple[Entry | None, Verdict]:
        """The entry under ``key``, if there is a readable one, and what it may do."""
        entry = await self._backing.entry(key, again=again)
        if entry is None:
            return None, _ABSENT
        sources = await self._sources(entry) if entry.reads else _NO_SOURCES
        return entry, _judged(ask, entry, sources, now_s)

    async def _sources(self, entry: Entry) -> Mapping[str, Source]:
        return await self._backing.sources(entry.tenant, entry.reads)

    def _hit(
        self, ask: Ask, entry: Entry, verdict: Verdict, now_s: float, *, shared: bool = False
    ) -> Hit:
        if verdict.state == "stale":
            return self._served(ask, entry, "stale", now_s, shared=shared, due="refresh")
        rate = ask.settings.rerun_rate
        is_drawn = rate > 0 and drawn(rate, ask=ask.draw)
        due: Renewal | None = "rerun" if is_drawn else None
        return self._served(ask, entry, "fresh", now_s, shared=shared, due=due)

    def _served(
        self,
        ask: Ask,
        entry: Entry,
        state: HitState,
        now_s: float,
        *,
        shared: bool = False,
        due: Renewal | None = None,
    ) -> Hit:
        self.stats.hit(ask.step, entry, state=state, shared=shared)
        return Hit(entry, state, now_s - entry.created_s, shared, due)

    def _miss(self, ask: Ask, reason: str, why: str, lease: Lease | None = None) -> Miss:
        self.stats.miss(ask.step, reason)
        return Miss(reason=reason, why=why, lease=lease)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def _judged(ask: Ask, entry: Entry, sources: Mapping[str, Source], now_s: float) -> Verdict:
    if ask.refuses(entry):
        return _REFUSED
    return judge(entry, settings=ask.settings, needs=ask.needs, sources=sources, now_s=now_s)


def _left(until: float | None) -> float | None:
    return None if until is None else until - time.monotonic()
