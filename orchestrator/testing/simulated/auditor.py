"""What may not be, whatever happens: the promises about money, as an auditor sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.core.events import TaskStatus
from orchestrator.ledger.bookkeeping.verification import verify
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Demand
from orchestrator.ledger.stores.rows import AccountRow, Fact
from orchestrator.testing.teller import Teller

if TYPE_CHECKING:
    from orchestrator.ledger.bookkeeping.unit import UnitOfWork
    from orchestrator.testing.simulated.plans import Plan
    from orchestrator.testing.simulated.process import Process, VirtualTime

VERIFY_EVERY = 10
Rows: TypeAlias = "list[tuple[AccountRow, AccountRow]]"
"""Accounts with what they began with."""


class Auditor:
    """Knows what tasks were told, what providers billed, and what the ledger says.

    Attributes:
        audits: How often the ledger was looked at.
        doubts: Attempts that were found in doubt.
    """

    def __init__(self, teller: Teller, time: VirtualTime, *, is_steady: bool) -> None:
        """Look through ``teller``."""
        self._is_steady = is_steady
        self.audits = 0
        self.doubts: set[str] = set()
        self._teller = teller
        self._time = time
        self._limits: dict[str, int] = {}
        self._intents: dict[str, AttemptIntent] = {}
        self._owners: dict[str, tuple[Process, float]] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self._billed: dict[str, int] = {}
        self._ends: dict[str, AttemptEnd] = {}
        self._recorded: set[str] = set()
        self._sent: set[str] = set()

    def status(self, task_id: str) -> TaskStatus | None:
        """What the ledger calls a task; ``None`` if it knows none."""
        record = self._teller.read(lambda unit: unit.flushed().task(task_id))
        return None if record is None else record.status

    def demanded(self, intent: AttemptIntent, demands: Iterable[Demand], owner: Process) -> None:
        """An attempt wants money."""
        self._intents[intent.attempt_id] = intent
        self._owners[intent.attempt_id] = owner, self._time.seconds
        for demand in demands:
            key = demand.account.key
            self._limits[key] = max(self._limits.get(key, 0), demand.limit.nano)

    def asked(self, intent: AttemptIntent) -> None:
        """A provider is asked: nobody may know the answer yet."""
        place = intent.task_id, intent.key
        assert place not in self._answered(self._facts()), f"{place} is asked again"
        self._asked[place] += 1
        self._sent.add(intent.attempt_id)

    def billed(self, end: AttemptEnd) -> None:
        """A provider has billed, and the ledger is going to be told of it."""
        self._ends[end.attempt_id] = end
        self._billed[end.attempt_id] = (end.cost + end.overrun).nano

    def recorded(self, attempt_id: str) -> None:
        """The ledger said that it has written an end."""
        self._recorded.add(attempt_id)

    def audit(self) -> None:
        """Look at the ledger; after each of its transactions.

        Raises:
            AssertionError: If something is not as promised.
        """
        self.audits += 1
        rows, facts = self._teller.read(self._everything)
        for row, seed in rows:
            committed = row.settled + row.reserved + row.disputed
            most = max(self._limits.get(row.key, 0), seed.settled)
            assert committed <= most, f"{row} is above its limit of {most}"
        ends = {fact.attempt_id: fact for fact in facts}
        assert len(ends) == len(facts), "an attempt was resolved twice"
        for attempt_id in self._recorded:
            self._see_that_it_stands(ends.get(attempt_id), self._ends[attempt_id])
        for fact in facts:
            self._see_why(fact)
        twice = [place for place, times in self._answered(facts).items() if times > 1]
        assert not twice, f"{twice} was paid twice"
        if self.audits % VERIFY_EVERY == 0:
            self._verify()

    def see_the_end(self, plans: Iterable[Plan]) -> None:
        """When all is quiet: nothing is open, and whatever was billed is in the books.

        Raises:
            AssertionError: If something is not as promised.
        """
        self.audit()
        self._verify()
        facts = {fact.attempt_id: fact for fact in self._facts()}
        still_open = [fact.attempt_id for fact in facts.values() if fact.end is None]
        assert not still_open, f"{still_open} was never resolved"
        for attempt_id, cost in self._billed.items():
            fact = facts[attempt_id]
            # An overrun that its owner did not live to tell of is known to nobody.
            known = min(cost, fact.reserve) if fact.end == "expired" else cost
            assert fact.cost + fact.overrun >= known, f"{fact} was billed {cost}"
        answered = self._answered(facts.values())
        extra = self._asked - answered
        unsure = Counter(
            (self._intents[one].task_id, self._intents[one].key) for one in self.doubts
        )
        free = Counter(
            (self._intents[one].task_id, self._intents[one].key)
            for one, end in self._ends.items()
            if end.reply is None
        )
        assert extra <= unsure + free, "it was asked again without being in doubt"
        for plan in plans:
            status = self.status(plan.task_id)
            assert status != "running", f"{plan.task_id} was left alone"
            if status == "completed":
                missing = set(plan.places()) - answered.keys()
                assert not missing, f"{missing} was never paid, but its task is complete"

    def _everything(
        self, unit: UnitOfWork
    ) -> tuple[list[tuple[AccountRow, AccountRow]], list[Fact]]:
        store = unit.flushed()
        return list(store.accounts()), list(store.facts())

    def _facts(self) -> list[Fact]:
        return self._teller.read(lambda unit: list(unit.flushed().facts()))

    def _verify(self) -> None:
        verification = self._teller.read(lambda unit: verify(unit.flushed()))
        assert verification.is_sound, verification

    def _answered(self, facts: Iterable[Fact]) -> Counter[tuple[str, str]]:
        """How often the journal has the answer of each place of each task."""
        return Counter(
            (self._intents[fact.attempt_id].task_id, self._intents[fact.attempt_id].key)
            for fact in facts
            if fact.end == "settled"
            and fact.attempt_id not in self.doubts
            and self._ends[fact.attempt_id].reply is not None
        )

    def _see_that_it_stands(self, fact: Fact | None, end: AttemptEnd) -> None:
        assert fact is not None, f"{end} was recorded and is lost"
        said = fact.cost + fact.overrun
        assert (fact.end, said) == (end.end, (end.cost + end.overrun).nano), f"{fact} is not {end}"

    def _see_why(self, fact: Fact) -> None:
        """Nothing ends by itself."""
        if fact.end == "expired" and fact.attempt_id not in self.doubts:
            self.doubts.add(fact.attempt_id)
            self._see_why_in_doubt(fact)
        elif fact.end == "settled":
            assert fact.attempt_id in self._ends, f"{fact} was settled by nobody"
        elif fact.end == "released":
            assert not self._billed.get(fact.attempt_id), f"{fact} was billed and is released"

    def _see_why_in_doubt(self, fact: Fact) -> None:
        """Its owner is dead, asleep, or fenced; or it was sent, and has had its time."""
        attempt_id = fact.attempt_id
        intent, (owner, since) = self._intents[attempt_id], self._owners[attempt_id]
        record = self._teller.read(lambda unit: unit.flushed().task(intent.task_id))
        if owner.is_dead or (record is not None and record.epoch > intent.epoch):
            return
        lasts_s = (intent.expires_at - intent.at).total_seconds()
        is_due = self._time.seconds >= since + lasts_s
        assert is_due or not self._is_steady, f"{fact} expired early"
        was_asleep = owner.asleep_until >= since
        assert attempt_id in self._sent or was_asleep, f"{fact} is in doubt, and was never sent"
