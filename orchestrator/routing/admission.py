"""Who may leave next: lanes, rates and turns, without any waiting of its own.

Of those who wait, the higher priority goes first; then the tenant of the lane that had least of it
for its share; then who came first. So that nobody waits for ever behind a stream of what matters
more, every eighth turn of a lane is of whoever has waited longest in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from math import inf
from typing import NamedTuple

from orchestrator.models.rates import RateReport
from orchestrator.routing.meters import Meter

PATIENCE = 8
DEFAULT_QUEUE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """One entry under ``lanes:`` of a policy.

    Attributes:
        concurrency: How many of its attempts may be under way at once.
        queue: How many more may wait.
        shares: Weight by tenant; 1 where it is not named.
    """

    concurrency: int
    queue: int = DEFAULT_QUEUE
    shares: Mapping[str, int] = field(default_factory=dict)


class LaneFull(Exception):  # noqa: N818 - control flow, shown as a halt
    """A lane's queue has no place left."""

    def __init__(self, lane: str, settings: LaneSettings) -> None:
        """Say which, and how much it holds."""
        super().__init__(
            f"Lane {lane!r} is full: {settings.concurrency} under way and {settings.queue} waiting"
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Ticket:
    """One attempt that asks to leave.

    Attributes:
        lane: Its lane; ``None``: none.
        tenant: Whose it is.
        priority: The higher goes first.
        meters: Whose rates it counts on.
        tokens: How many tokens it will probably use.
        admitted: Whether it may leave.
        number: When it came, among the others.
    """

    lane: str | None
    tenant: str
    priority: int
    meters: tuple[str, ...]
    tokens: int
    admitted: bool = False
    number: int = 0


_Queue = tuple[int, str, tuple[str, ...]]


def _queue_of(ticket: Ticket) -> _Queue:
    return ticket.priority, ticket.tenant, ticket.meters


class _Claim(NamedTuple):
    """Who is next on a meter, and how much that one matters."""

    ticket: Ticket
    rank: float


@dataclass(slots=True)
class _Lane:
    """A queue and what is under way.

    Attributes:
        settings: What the policy says; ``None``: nothing is limited.
        under_way: How many were admitted and have not left.
        turns: How many were admitted ever.
        now: Of the passes that were admitted the highest.
        waiting: Who waits, as they came, by what decides their turn. Where the first of a queue
            may not leave, none behind it may.
        tenants: How many wait of each tenant.
        passes: How much of the lane each tenant had, for its share. The least comes next.
    """

    settings: LaneSettings | None
    under_way: int = 0
    turns: int = 0
    now: Fraction = Fraction(0)
    waiting: dict[_Queue, dict[Ticket, None]] = field(default_factory=dict)
    tenants: Counter[str] = field(default_factory=Counter)
    passes: dict[str, Fraction] = field(default_factory=dict)

    @property
    def has_room(self) -> bool:
        return self.settings is None or self.under_way < self.settings.concurrency

    @property
    def is_overfull(self) -> bool:
        return self.settings is not None and self.tenants.total() > self.settings.queue

    def join(self, ticket: Ticket) -> None:
        if not self.tenants[ticket.tenant]:
            # Who had nothing to ask for a while has not saved up turns.
            self.passes[ticket.tenant] = max(self.passes.get(ticket.tenant, self.now), self.now)
        self.waiting.setdefault(_queue_of(ticket), {})[ticket] = None
        self.tenants[ticket.tenant] += 1

    def in_order(self) -> Iterator[_Claim]:
        """Those who wait, whose turn is next first, each with its rank."""
        first = [next(iter(queue)) for queue in self.waiting.values()]
        if self.turns % PATIENCE == PATIENCE - 1:
            yield _Claim(min(first, key=lambda one: one.number), inf)
        first.sort(key=lambda one: (-one.priority, self.passes[one.tenant], one.number))
        for one in first:
            yield _Claim(one, one.priority)

    def admit(self, ticket: Ticket) -> None:
        weight = self.settings.shares.get(ticket.tenant, 1) if self.settings else 1
        self.under_way += 1
        self.turns += 1
        self.now = max(self.now, self.passes[ticket.tenant])
        self.passes[ticket.tenant] += Fraction(1, weight)
        self.drop(ticket)

    def drop(self, ticket: Ticket) -> None:
        queue = self.waiting[_queue_of(ticket)]
        del queue[ticket]
        if not queue:
            del self.waiting[_queue_of(ticket)]
        self.tenants[ticket.tenant] -= 1
        # A tenant that waits for nothing and is not ahead of its turn need not be remembered.
        self.tenants += Counter()
        self.passes = {
            tenant: had
            for tenant, had in self.passes.items()
            if tenant in self.tenants or had > self.now
        }


class Admission:
    """The lanes and meters of one process.

    Times are readings of a monotonic clock, in seconds. Not safe across threads: all calls come
    from one event loop.
    """

    def __init__(self, lanes: Mapping[str, LaneSettings]) -> None:
        """Nothing is under way."""
        self._lanes: dict[str | None, _Lane] = {name: _Lane(one) for name, one in lanes.items()}
        self._lanes[None] = _Lane(None)
        self.meters: dict[str, Meter] = {}
        self._order = tuple(self._lanes)
        # Who is next on a meter that has too little now: what comes in is kept for that one.
        self._claims: dict[str, _Claim] = {}
        self._numbers = count()
        self._first = 0

    def enter(self, ticket: Ticket, now: float) -> tuple[Ticket, ...]:
        """Join the queue; whoever's turn changed is returned.

        Raises:
            LaneFull: If there is no place, and none is free at once.
            KeyError: If there is no such lane.
        """
        lane = self._lanes[ticket.lane]
        ticket.number = next(self._numbers)
        lane.join(ticket)
        changed = self.dispatch(now)
        if not ticket.admitted and lane.is_overfull:
            self._drop(ticket)
            assert ticket.lane is not None
            assert lane.settings is not None
            raise LaneFull(ticket.lane, lane.settings)
        return changed

    def leave(self, ticket: Ticket, now: float, *, used: int | None = None) -> tuple[Ticket, ...]:
        """Give the place back, or stop waiting for one; whoever's turn changed is returned.

        Args:
            ticket: Who leaves.
            now: When.
            used: Tokens it used; ``None``: nothing was sent.
        """
        if ticket.admitted:
            self._lanes[ticket.lane].under_way -= 1
            for name in ticket.meters:
                self.meters[name].settle(ticket.tokens, used, now)
        else:
            self._drop(ticket)
        return self.dispatch(now)

    def told(self, name: str, report: RateReport, now: float) -> tuple[Ticket, ...]:
        """Take in what a provider says of its limits; whoever's turn changed is returned."""
        self.meters.setdefault(name, Meter()).told(report, now)
        return self.dispatch(now)

    def pause(self, name: str, seconds: float, now: float) -> None:
        """Let nothing leave by this meter for a while: the provider asked for that."""
        meter = self.meters.setdefault(name, Meter())
        meter.paused_until = max(meter.paused_until, now + seconds)

    def wait_s(self, ticket: Ticket, now: float) -> float | None:
        """Seconds until looking again is worth it; ``None``: somebody else has to leave first."""
        own = self._highest_claim(ticket)
        if own is None or self._is_behind(own):
            return None
        return max(self.meters[name].wait_s(ticket.tokens, now) for name in ticket.meters)

    def waiting(self, lane: str | None) -> int:
        """How many wait in a lane."""
        return self._lanes[lane].tenants.total()

    def dispatch(self, now: float) -> tuple[Ticket, ...]:
        """Admit all that may leave now; they are returned, with those who wait for a rate."""
        admitted: list[Ticket] = []
        settled = False
        while not settled:
            batch = self._turn(now)
            # What those in a full lane could not use anyway is not kept for them.
            kept = {
                name: claim
                for name, claim in self._claims.items()
                if self._lanes[claim.ticket.lane].has_room
            }
            # Somebody in a lane that was looked at before may have waited for either.
            settled = not batch and len(kept) == len(self._claims)
            self._claims = kept
            admitted += batch
        return (*admitted, *(claim.ticket for claim in self._claims.values()))

    def _turn(self, now: float) -> list[Ticket]:
        """Look at each lane once, at another one first each time: they meet at the meters."""
        admitted: list[Ticket] = []
        self._first = (self._first + 1) % len(self._order)
        for name in (*self._order[self._first :], *self._order[: self._first]):
            lane = self._lanes[name]
            while lane.waiting and lane.has_room and (ticket := self._next(lane, now)):
                lane.admit(ticket)
                ticket.admitted = True
                self._withdraw(ticket)
                for meter in ticket.meters:
                    self.meters[meter].take(ticket.tokens, now)
                admitted.append(ticket)
        return admitted

    def _next(self, lane: _Lane, now: float) -> Ticket | None:
        """Who of a lane may leave now; on the way, who is next on a meter that is empty."""
        for this in lane.in_order():
            ticket = this.ticket
            # A turn that was had first of all is kept until it is used: what it claims stays its.
            turn = max(this, self._highest_claim(ticket) or this, key=lambda one: one.rank)
            if self._is_behind(turn):
                # It claims nothing: two that each held what the other needs would wait for ever.
                continue
            short = [
                name for name in ticket.meters if self.meters[name].wait_s(ticket.tokens, now) > 0
            ]
            if not short:
                return ticket
            self._claims |= dict.fromkeys(short, turn)
        return None

    def _highest_claim(self, ticket: Ticket) -> _Claim | None:
        own = [claim for claim in self._claims.values() if claim.ticket is ticket]
        return max(own, key=lambda one: one.rank, default=None)

    def _is_behind(self, turn: _Claim) -> bool:
        """Whether somebody who matters as much is next on one of its meters."""
        claims = [claim for name in turn.ticket.meters if (claim := self._claims.get(name))]
        return any(one.rank >= turn.rank for one in claims if one.ticket is not turn.ticket)

    def _drop(self, ticket: Ticket) -> None:
        self._lanes[ticket.lane].drop(ticket)
        self._withdraw(ticket)

    def _withdraw(self, ticket: Ticket) -> None:
        self._claims = {
            name: claim for name, claim in self._claims.items() if claim.ticket is not ticket
        }
