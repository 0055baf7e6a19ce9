"""What every store of a ledger must do, as tests: subclass, give ``open_store``, let pytest run it.

::

    class TestMyStore(LedgerStoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "ledger")

Each call of ``make_store`` makes another handle to the *same* store, not opened yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.bookkeeping.operation import Operation
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.refusals import BudgetShort
from orchestrator.ledger.stores.rows import AccountRow, Body, Wanted, to_us
from orchestrator.ledger.stores.store import Store
from orchestrator.testing.ledger_machine import KEPT, LedgerMachine, MachineClock, history_bytes
from orchestrator.testing.teller import Teller

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RESERVE = 60
ORG = Account("org", "acme", "total")
MakeStore = Callable[[], Store]


class LedgerStoreContract:
    """Inherited by a test class for each store.

    Attributes:
        shared: Whether two handles see the same rows.
        examples: Histories that are drawn.
        steps: Operations in each.
    """

    shared = True
    examples = 50
    steps = 50

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Overridden by each store."""
        pytest.fail("override the fixture make_store: it gives a function that makes your store")

    @pytest.fixture
    def tellers(self, make_store: MakeStore) -> Iterator[tuple[Teller, Teller]]:
        """Two handles to one store, each with rules of its own; one handle if it is not shared."""
        first = Teller(make_store(), lambda: NOON)
        second = Teller(make_store(), lambda: NOON) if self.shared else first
        for teller in dict.fromkeys((first, second)):
            teller.open()
        yield first, second
        for teller in dict.fromkeys((first, second)):
            teller.close()

    def test_what_is_rolled_back_never_was(self, tellers: tuple[Teller, Teller]) -> None:
        """Of any kind of row."""
        teller, _ = tellers
        _do(teller, teller.open_task(_opening("t")))
        store = teller.store
        store.begin(write=True)
        row = store.insert_account(ORG, AccountRow(0, ORG.key))
        store.insert_body(Body("t", "output", "json", b"{}", None))
        store.retain_bodies(["t"], ["input"], 1)
        store.delete_bodies(["t"], ["input"])
        store.rollback()

        assert row.key == ORG.key
        record = teller.read(lambda unit: unit.flushed().task("t"))
        assert record is not None
        assert (record.opening.input_body, record.output) == (b"{}", None)
        assert teller.read(lambda unit: list(unit.flushed().accounts())) == []

    def test_what_is_loaded_is_a_copy(self, tellers: tuple[Teller, Teller]) -> None:
        """To change it changes nothing until it is written."""
        teller, _ = tellers
        _do(teller, teller.open_task(_opening("t")))
        _do(teller, teller.reserve(_intent("a", RESERVE), _demands(100)))
        store = teller.store
        store.begin(write=False)
        for row in store.load(Wanted(accounts={ORG.key})).accounts.values():
            row.reserved = 0
        (row,) = store.load(Wanted(accounts={ORG.key})).accounts.values()
        store.rollback()

        assert row.reserved == RESERVE

    def test_a_hold_comes_with_the_accounts_it_holds(self, tellers: tuple[Teller, Teller]) -> None:
        """An ended one without."""
        teller, _ = tellers
        _do(teller, teller.open_task(_opening("t")))
        _do(teller, teller.reserve(_intent("a", RESERVE), _demands(100)))
        store = teller.store
        store.begin(write=False)
        loaded = store.load(Wanted(holds={"a", "none"}))
        store.rollback()
        assert [row.key for row in loaded.accounts.values()] == [ORG.key]
        assert loaded.holds.keys() == {"a"}
        assert loaded.holds["a"].is_open

        _do(teller, teller.end(_end("a", 20)))
        store.begin(write=False)
        loaded = store.load(Wanted(holds={"a"}))
        store.rollback()
        assert not loaded.accounts
        assert not loaded.holds["a"].is_open

    def test_the_version_tells_of_others_only(self, tellers: tuple[Teller, Teller]) -> None:
        """Else every writer would read anew what it wrote itself, or miss what others wrote."""
        here, there = tellers
        _do(here, here.open_task(_opening("t")))
        before = _version(here.store)
        _do(here, here.open_task(_opening("u")))
        assert _version(here.store) == before
        if self.shared:
            _do(there, there.open_task(_opening("v")))
            assert _version(here.store) != before

    def test_two_handles_share_one_budget(self, tellers: tuple[Teller, Teller]) -> None:
        """Floor((L - b) / a) + 1 calls of bound b and cost a, whoever asks; then none."""
        here, there = tellers
        _do(here, here.open_task(_opening("t")))
        served = 0
        for number in range(40):
            teller = (here, there)[number % 2]
            asking = teller.reserve(_intent(f"a{number}", 90), _demands(1000))
            assert teller.carry_out([asking])
            if asking.error is not None:
                assert isinstance(asking.error, BudgetShort)
                continue
            served += 1
            _do(teller, teller.end(_end(f"a{number}", 40)))

        assert served == (1000 - 90) // 40 + 1
        (balance,) = there.read(lambda unit: unit.balances([ORG]))
        assert balance.committed == Money(served * 40)
        assert here.verify().is_sound

    def test_an_account_begins_with_what_its_holder_spent(
        self, tellers: tuple[Teller, Teller]
    ) -> None:
        """In its window: one attempt lies in it, one before."""
        teller, _ = tellers
        _do(teller, teller.open_task(_opening("t")))
        for name, at in (("before", NOON - timedelta(days=1)), ("in it", NOON)):
            _do(teller, teller.reserve(_intent(name, 60, at=at), []))
            _do(teller, teller.end(_end(name, 20)))
        day = Account("org", "acme", "day:2026-11-20", NOON, NOON + timedelta(days=1))

        balances = teller.read(lambda unit: unit.balances([day, ORG]))

        assert [balance.settled for balance in balances] == [Money(20), Money(40)]

    def test_bodies_go_when_their_time_has_come(self, tellers: tuple[Teller, Teller]) -> None:
        """And no others."""
        teller, _ = tellers
        for task in ("t", "u"):
            _do(teller, teller.open_task(_opening(task)))
        store = teller.store
        store.begin(write=True)
        store.retain_bodies(["t"], ["input"], to_us(NOON))
        store.purge_bodies(to_us(NOON) - 1)
        store.commit()
        assert _inputs(teller) == [b"{}", b"{}"]
        store.begin(write=True)
        store.purge_bodies(to_us(NOON))
        store.commit()
        assert _inputs(teller) == [b"", b"{}"]

    def test_how_tasks_went_is_told_to_their_own_agent_and_tenant(
        self, tellers: tuple[Teller, Teller]
    ) -> None:
        """The newest are looked at, also where they never asked the step."""
        teller, _ = tellers
        mine = _opening("t").scope
        others = {"u": replace(mine, tenant="another"), "v": replace(mine, agent="reader")}
        for cost, (task, scope) in enumerate({"t": mine, **others}.items(), start=1):
            _do(teller, teller.open_task(_opening(task, replace(scope, task_id=task))))
            asked = replace(_intent(f"a-{task}", RESERVE), task_id=task)
            _do(teller, teller.reserve(asked, _demands(1000)))
            _do(teller, teller.end(_end(f"a-{task}", cost)))
            closing = TaskClosing(task_id=task, epoch=1, status="completed", running_s=1, at=NOON)
            _do(teller, teller.close_task(closing))

        def told(unit: UnitOfWork) -> list[object]:
            store = unit.flushed()
            return [
                (
                    [(one.task_id, one.cost) for one in store.courses(scope, 9)],
                    store.rests(scope, "s", 9),
                    store.rests(scope, "another", 9),
                )
                for scope in (mine, *others.values())
            ]

        assert teller.read(told) == [
            ([(task, cost)], [cost], []) for cost, task in enumerate(("t", *others), start=1)
        ]

    def test_any_history_is_that_of_the_model(self, make_store: MakeStore) -> None:
        """See :mod:`orchestrator.testing.ledger_machine`."""
        check_histories({"the store": make_store()}, examples=self.examples, steps=self.steps)


def check_histories(stores: Mapping[str, Store], *, examples: int, steps: int) -> int:
    """Draw histories, and see that these stores make of them what the model does.

    Args:
        stores: By name; not open yet, and closed afterwards.
        examples: How many histories; all their rows lie in the stores in the end.
        steps: How many steps each of them has.

    Returns:
        How many attempts were made in each store.
    """
    clock = MachineClock()
    tellers = {name: Teller(store, clock.now, keep_bodies=KEPT) for name, store in stores.items()}
    size = history_bytes(steps)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=size, max_size=size))
    def play(drawn: bytes) -> None:
        LedgerMachine(tellers, clock).play(drawn)

    for teller in tellers.values():
        teller.open()
    try:
        play()
        verifications = [teller.verify() for teller in tellers.values()]
        assert all(it.is_sound for it in verifications), verifications
        return min(it.attempts for it in verifications)
    finally:
        for teller in tellers.values():
            teller.close()


def _do(teller: Teller, operation: Operation) -> None:
    assert teller.carry_out([operation])
    assert operation.error is None


def _version(store: Store) -> int:
    store.begin(write=True)
    try:
        return store.version()
    finally:
        store.rollback()


def _inputs(teller: Teller) -> list[bytes]:
    records = teller.read(lambda unit: [unit.flushed().task(task) for task in ("t", "u")])
    return [record.opening.input_body for record in records if record is not None]


def _opening(task_id: str, scope: Scope | None = None) -> TaskOpening:
    return TaskOpening(
        scope=scope or Scope("acme", "research", "writer", task_id, "t"),
        owner="p",
        graph="g",
        policy="p",
        input_type="json",
        input_body=b"{}",
        at=NOON,
    )


def _demands(limit: int) -> list[Demand]:
    return [Demand(ORG, Money(limit))]


def _intent(attempt_id: str, reserve: int, *, at: datetime = NOON) -> AttemptIntent:
    return AttemptIntent(
        attempt_id=attempt_id,
        task_id="t",
        epoch=1,
        key="k",
        request_hash="h",
        step="s",
        kind="ask",
        model="m",
        provider_model="m",
        reserve=Money(reserve),
        expires_at=at + timedelta(seconds=130),
        at=at,
    )


def _end(attempt_id: str, cost: int) -> AttemptEnd:
    return AttemptEnd(
        attempt_id=attempt_id,
        end="settled",
        cost=Money(cost),
        certainty="known",
        seconds=1.0,
        at=NOON,
    )
