"""Who waits for money, and where: promise 2's queues, in this process.

A waiter holds nothing. It queues at the account that is short, by priority and then by arrival, and
is judged again when something changes there, so nothing polls and nothing can deadlock: an account
is only waited for while an attempt holds part of it, and every attempt ends.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from operator import attrgetter

from orchestrator.core.priority import TURN, Priority
from orchestrator.ledger.bookkeeping import book
from orchestrator.ledger.bookkeeping.operation import REFUSALS, Answer, Operation
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.records import AttemptIntent, Demand
from orchestrator.ledger.stores.rows import Wanted


class Ask(Operation):
    """One call of ``reserve``, from its arrival until it is granted, refused or withdrawn.

    Attributes:
        intent: The attempt.
        demands: What it asks of each account of its path.
        priority: How much its task matters.
        ticket: Its turn: by priority, then by arrival.
        wait_at: Key of the account it waits at; ``None`` if it does not wait.
    """

    __slots__ = ("demands", "intent", "priority", "ticket", "wait_at")

    def __init__(
        self,
        answer: Answer | None,
        intent: AttemptIntent,
        demands: Sequence[Demand],
        *,
        priority: Priority = "normal",
    ) -> None:
        """Not yet arrived."""
        super().__init__(answer, tasks=(intent.task_id,), holds=(intent.attempt_id,))
        self.intent = intent
        self.demands = demands
        self.priority: Priority = priority
        self.ticket = (TURN[priority], 0)
        self.wait_at: str | None = None

    def want(self, wanted: Wanted) -> None:
        """Name the rows it will need."""
        super().want(wanted)
        wanted.accounts.update([demand.account.key for demand in self.demands])


by_ticket = attrgetter("ticket")
"""Whose turn it is: by priority, then by arrival."""


class Waiting:
    """The queues of one ledger. Used by its writer only, inside a transaction."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._queues: dict[str, list[Ask]] = {}
        self._asks: dict[str, Ask] = {}
        self._tickets = 0
        self._left: set[str] = set()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._asks)

    def arrive(self, unit: UnitOfWork, ask: Ask, now_us: int) -> bool:
        """Judge a newcomer: whether it has its answer, or waits for it."""
        self._tickets += 1
        ask.ticket = (TURN[ask.priority], self._tickets)
        ask.wait_at, ask.error = None, None
        if ask.intent.attempt_id in self._asks:
            ask.error = ValueError(f"attempt {ask.intent.attempt_id} waits already")
            return True
        return self._judge(unit, ask, now_us)

    def leave(self, attempt_id: str) -> None:
        """Withdraw an ask, if it waits; those behind it are judged at the next review."""
        ask = self._asks.get(attempt_id)
        if ask is not None:
            self._remove(ask)

    def review(self, unit: UnitOfWork, now_us: int) -> list[Ask]:
        """Judge again where the unit of work, or a withdrawal, changed something.

        Returns:
            Those who have their answer now, and wait no longer.
        """
        answered: list[Ask] = []
        changed, stopped = unit.freed | self._left, unit.stopped
        while self._asks and (changed or stopped):
            self._left.clear()
            answered += self._judge_all(
                unit,
                [
                    ask
                    for ask in self._asks.values()
                    if ask.wait_at in changed or ask.intent.task_id in stopped
                ],
                now_us,
            )
            # Who waited behind one that left a changed account was judged after it, in this pass.
            changed, stopped = self._left - changed, set()
        self._left.clear()
        return answered

    def review_all(self, unit: UnitOfWork, now_us: int) -> list[Ask]:
        """Judge everybody again: another process changed something."""
        answered = self._judge_all(unit, list(self._asks.values()), now_us)
        self._left.clear()
        return answered

    def clear(self) -> list[Ask]:
        """Send everybody away, unanswered."""
        asks = list(self._asks.values())
        self._queues.clear()
        self._asks.clear()
        self._left.clear()
        return asks

    def _judge_all(self, unit: UnitOfWork, asks: list[Ask], now_us: int) -> list[Ask]:
        """Judge in order of arrival, which also serves those who wait at several accounts."""
        asks.sort(key=by_ticket)
        # In one go: whoever judges holds the store's lock, and each round trip holds up the others.
        wanted = Wanted()
        for ask in asks:
            ask.want(wanted)
        unit.load(wanted)
        return [ask for ask in asks if self._judge(unit, ask, now_us)]

    def _judge(self, unit: UnitOfWork, ask: Ask, now_us: int) -> bool:
        """Grant, refuse, or put into the right queue; whether it has its answer."""

        def must_queue(key: str) -> bool:
            queue = self._queues.get(key)
            return queue is not None and queue[0].ticket < ask.ticket

        try:
            wait_at = book.reserve(unit, ask.intent, ask.demands, must_queue, now_us)
        except REFUSALS as error:
            ask.error = error
            wait_at = None
        if wait_at != ask.wait_at or wait_at is None:
            self._remove(ask)
            if wait_at is not None:
                self._add(ask, wait_at)
        return wait_at is None

    def _add(self, ask: Ask, key: str) -> None:
        ask.wait_at = key
        self._asks[ask.intent.attempt_id] = ask
        insort(self._queues.setdefault(key, []), ask, key=by_ticket)

    def _remove(self, ask: Ask) -> None:
        key = ask.wait_at
        if key is None:
            return
        ask.wait_at = None
        del self._asks[ask.intent.attempt_id]
        queue = self._queues[key]
        queue.remove(ask)
        if not queue:
            del self._queues[key]
        self._left.add(key)
