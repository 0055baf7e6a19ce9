"""A store that fails: nothing may be spent, nothing is half written, nobody is left in the dark."""

import asyncio
import sqlite3

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.money import Money
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.postgres import PostgresStore
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.testing.unreliable_store import LOST, UNHEARD, Commits, UnreliableStore


class Faults:
    """Fails at a named point while it is armed."""

    def __init__(self):
        self.armed = None

    def __call__(self, point):
        if self.armed == point:
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
async def frail(ledger_path, open_bank, faults):
    """A ledger that fails on demand, with a task and a hold of 60 on a budget of 100."""
    return await open_bank(SqliteStore(ledger_path, busy_for_s=0.05, faults=faults))


@pytest.fixture
def outside(ledger_path, frail):
    """A connection of somebody else."""
    connection = sqlite3.connect(ledger_path, isolation_level=None, timeout=0)
    yield connection
    connection.close()


@pytest.mark.parametrize("point", ["before begin", "before commit"])
async def test_a_reserve_that_cannot_be_recorded_holds_nothing(frail, faults, demand, point):
    await frail.open_task()
    faults.armed = point

    with pytest.raises(LedgerUnavailable, match="disk I/O error") as caught:
        await frail.hold(60, demand(100))

    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    faults.armed = None
    assert await frail.sums() == (0, 0, 0)
    assert (await frail.ledger.history("task-1")).attempts == ()
    await frail.hold(100, demand(100))


async def test_a_question_that_cannot_be_answered_is_told_to_all_who_ask(frail, faults):
    await frail.open_task()
    faults.armed = "before begin"

    told = await asyncio.gather(
        frail.ledger.task("task-1"), frail.ledger.epoch("task-1"), return_exceptions=True
    )

    assert [type(one) for one in told] == [LedgerUnavailable] * 2
    faults.armed = None
    assert await frail.ledger.epoch("task-1") == 1


async def test_a_failure_that_is_nobodys_refusal_undoes_its_batch(bank, demand):
    """Whatever the store: half of an operation is none."""
    await bank.open_task()
    held = await bank.hold(60, demand(100))

    def break_down(unit):
        unit.add_mark("task-1", "steps", "half")
        unit.flushed()
        raise KeyError

    async with bank.held_up():
        asked = asyncio.gather(
            bank.settle(held, 20), bank.ledger._ask(break_down), return_exceptions=True
        )
        await asyncio.sleep(0)

    outcomes = await asked

    assert [type(one) for one in outcomes] == [LedgerUnavailable] * 2
    assert (await bank.ledger.history("task-1")).marks == {}
    assert await bank.sums() == (0, 60, 0)
    await bank.settle(held, 20)


def test_only_a_lock_is_waited_for(ledger_path):
    store = SqliteStore(ledger_path, busy_for_s=600)
    store.open()
    store.begin(write=True)

    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        store.begin(write=True)

    store.rollback()
    store.close()


@pytest.mark.parametrize("point", ["before begin", "before commit"])
async def test_an_end_that_cannot_be_recorded_can_be_tried_again(frail, faults, demand, point):
    await frail.open_task()
    attempt = await frail.hold(60, demand(100))
    faults.armed = point

    with pytest.raises(LedgerUnavailable):
        await frail.settle(attempt, 20, reply=b"reply")

    faults.armed = None
    assert await frail.sums() == (0, 60, 0)
    await frail.settle(attempt, 20, reply=b"reply")
    assert await frail.sums() == (20, 0, 0)


@pytest.mark.parametrize("given_up", ["end", "withdrawal"])
async def test_a_hold_whose_end_could_not_be_recorded_expires_if_nobody_tries_again(
    frail, faults, demand, clock, given_up
):
    await frail.open_task()
    attempt = await frail.hold(60, demand(100))
    faults.armed = "before commit"
    if given_up == "end":
        with pytest.raises(LedgerUnavailable):
            await frail.settle(attempt, 20)
    else:
        await frail.ledger._withdraw(attempt)
    faults.armed = None
    clock.advance(seconds=130)

    assert await frail.ledger.expire_overdue() == 1

    assert await frail.sums() == (0, 0, 60)


async def test_what_fails_after_the_commit_is_not_claimed_but_counts(frail, faults, demand, clock):
    await frail.open_task()
    faults.armed = "after commit"

    with pytest.raises(LedgerUnavailable):
        await frail.hold(60, demand(100))

    faults.armed = None
    assert await frail.sums() == (0, 60, 0)
    clock.advance(seconds=130)
    assert await frail.ledger.expire_overdue() == 1
    assert await frail.sums() == (0, 0, 60)


async def test_a_failure_is_told_to_everybody_of_the_batch_and_to_those_who_wait(
    frail, faults, demand
):
    await frail.open_task()
    await frail.hold(60, demand(100))
    waiter = await frail.waits(frail.hold(50, demand(100)))
    faults.armed = "before commit"

    outcomes = await asyncio.gather(
        *(frail.hold(10, demand(100)) for _ in range(3)),
        frail.close_task(),
        frail.ledger.balances([]),
        waiter,
        return_exceptions=True,
    )

    assert {type(outcome) for outcome in outcomes} == {LedgerUnavailable}
    assert len({id(outcome) for outcome in outcomes}) == len(outcomes)
    faults.armed = None
    assert await frail.sums() == (0, 60, 0)
    assert (await frail.ledger.task("task-1")).status == "running"


async def test_a_failure_that_does_not_concern_them_is_told_to_those_who_wait(
    frail, faults, demand
):
    await frail.open_task()
    await frail.hold(60, demand(100))
    waiter = await frail.waits(frail.hold(50, demand(100)))
    faults.armed = "before commit"

    with pytest.raises(LedgerUnavailable):
        await frail.open_task("task-2")

    with pytest.raises(LedgerUnavailable):
        await waiter
    faults.armed = None


async def test_a_refusal_does_not_disturb_the_batch_it_is_in(bank, demand):
    await bank.open_task()
    attempt = await bank.hold(10, demand(100))

    outcomes = await asyncio.gather(
        bank.hold(20, demand(100)),
        bank.hold(101, demand(100)),
        bank.open_task(),
        bank.settle("attempt-0", 1),
        bank.settle(attempt, 5),
        bank.settle(attempt, 5),
        bank.hold(30, demand(100)),
        return_exceptions=True,
    )

    refused = [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
    assert refused[0] is BudgetShort
    assert refused[-1] is AlreadyEnded
    assert len(refused) == 4
    assert await bank.sums() == (5, 50, 0)


async def test_notes_are_written_once_the_store_is_back(frail, faults, demand):
    await frail.open_task()
    attempt = await frail.hold(1, demand(100))
    faults.armed = "before commit"
    frail.ledger.mark("task-1", "steps", "a")
    frail.ledger.decide(frail.decision(attempt))
    with pytest.raises(LedgerUnavailable):
        await frail.ledger.history("task-1")
    faults.armed = None

    frail.ledger.mark("task-1", "steps", "b")
    history = await frail.ledger.history("task-1")

    assert history.marks == {"steps": {"a", "b"}}
    assert len(history.decisions) == 1


async def test_notes_that_could_not_be_written_are_not_lost_in_silence(frail, faults):
    await frail.open_task()
    faults.armed = "before commit"
    frail.ledger.mark("task-1", "steps", "a")

    with pytest.raises(LedgerUnavailable, match="noted last"):
        await frail.abandon()


async def test_a_lock_held_for_a_moment_is_waited_for(open_bank, ledger_path, demand):
    bank = await open_bank(SqliteStore(ledger_path))
    await bank.open_task()
    other = sqlite3.connect(ledger_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asking = asyncio.create_task(bank.hold(60, demand(100)))
    await asyncio.sleep(0.02)
    assert not asking.done()

    other.execute("COMMIT")
    other.close()

    await asking
    assert await bank.sums() == (0, 60, 0)


async def test_a_lock_held_too_long_makes_the_ledger_unavailable(frail, outside, demand):
    await frail.open_task()
    outside.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerUnavailable, match="locked"):
        await frail.hold(60, demand(100))
    outside.execute("ROLLBACK")

    assert await frail.sums() == (0, 0, 0)
    await frail.hold(60, demand(100))


async def test_a_full_disk_leaves_nothing_half_written(frail, demand):
    """SQLite's own limit on the size of a file fails the way a disk does."""
    store = frail.ledger._store
    limits = []

    def limit(point):
        if point == "before begin" and limits:
            store._connection.execute(f"PRAGMA max_page_count = {limits.pop()}")

    await frail.open_task()
    attempt = await frail.hold(60, demand(100))
    store._faults = limit
    limits.append(1)

    with pytest.raises(LedgerUnavailable, match="full"):
        await frail.settle(attempt, 20, reply=b"x" * 1_000_000)

    limits.append(1_000_000)
    with pytest.raises(BudgetShort):
        await frail.hold(101, demand(100))
    assert await frail.sums() == (0, 60, 0)
    await frail.settle(attempt, 20, reply=b"x" * 1_000_000)
    assert await frail.sums() == (20, 0, 0)


async def test_a_corrupt_row_is_an_error_not_a_guess(frail, outside, demand):
    await frail.open_task()
    outside.execute("DROP TRIGGER attempts_no_update")
    attempt = await frail.hold(60, demand(100))
    outside.execute("UPDATE attempts SET account_ids = '[7]'")

    with pytest.raises(LedgerUnavailable):
        await frail.settle(attempt, 20)

    verification = await frail.ledger.verify()
    assert [difference.account for difference in verification.differences] == [
        "team|acme/research|total"
    ]
    assert verification.orphans == [f"attempt {attempt} has no account 7"]
    await frail.abandon()


async def test_verification_finds_a_balance_that_is_not_the_fold(frail, outside, demand):
    await frail.open_task()
    await frail.settle(await frail.hold(60, demand(100)), 20)
    outside.execute("UPDATE accounts SET settled = 0")

    verification = await frail.ledger.verify()

    (difference,) = verification.differences
    assert (difference.stored.settled, difference.folded.settled) == (Money.ZERO, Money(20))
    assert (verification.accounts, verification.attempts) == (1, 1)
    await frail.abandon()


ORPHAN_END = """
INSERT INTO ends (seq, kind, cost, overrun, certainty, seconds, at_us)
VALUES (9, 'settled', 0, 0, 'known', 0, 0)
"""
ORPHAN_DECISION = """
INSERT INTO decisions (task_id, key, step, attempt_id, accepted, confidence_state, checks, at_us)
VALUES ('task-1', 'k', 's', 'a', 1, 'uncalibrated', '{}', 0)
"""
ORPHAN_ATTEMPT = """
INSERT INTO attempts (seq, attempt_id, task_id, epoch, key, request_hash, step, kind, model,
    provider_model, reserve, account_ids, expires_at_us, at_us)
VALUES (9, 'a', 't', 1, '', '', '', 'ask', '', '', 0, '[]', 0, 0)
"""
ORPHAN_BODY = "INSERT INTO bodies VALUES ('t', 'input', 'json', x'00', NULL)"


@pytest.mark.parametrize(
    ("statement", "orphan"),
    [
        ("DELETE FROM holds", "open attempt attempt-1 has no hold"),
        ("INSERT INTO holds (seq, expires_at_us) VALUES (9, 0)", "hold 9 has no open attempt"),
        ("INSERT INTO replies VALUES (1, x'00', NULL)", "reply 1 has no ended attempt"),
        ("INSERT INTO marks VALUES ('t', 'steps', 'a')", "mark steps a has no task t"),
        (ORPHAN_BODY, "input body has no task t"),
        (ORPHAN_END, "end 9 has no attempt"),
        (ORPHAN_DECISION, "decision for k has no attempt a"),
        (ORPHAN_ATTEMPT, "attempt a has no task t"),
    ],
)
async def test_verification_finds_orphans(frail, outside, statement, orphan):
    await frail.open_task()
    await frail.hold(60)
    outside.execute(statement)

    assert orphan in (await frail.ledger.verify()).orphans
    await frail.abandon()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def unreliable(request, ledger_path):
    stores = {
        "memory": MemoryStore,
        "sqlite": lambda: SqliteStore(ledger_path),
        "postgres": lambda: PostgresStore(request.getfixturevalue("postgres_url")),
    }
    return UnreliableStore(stores[request.param](), Commits())


@pytest.mark.parametrize("fault", [LOST, UNHEARD])
async def test_what_may_be_noted_already_is_noted_once(open_bank, unreliable, demand, fault):
    """Noted twice, it would be refused by the store, and with it all that others ask."""
    bank = await open_bank(unreliable)
    await bank.open_task()
    decision = bank.decision("hit")
    hit = ("hit", "task-1", 1, "key", "hash", "plan", "small", bank.clock.now(), Money(5), 1.0)
    unreliable.fault = fault
    bank.ledger.hit(Remembered(*hit, reply=b"{}", decision=decision))
    with pytest.raises(LedgerUnavailable, match=fault):
        await bank.hold(10, demand(100))

    await bank.settle(await bank.hold(10, demand(100)), 10)

    told = await bank.ledger.history("task-1")
    assert [one.intent.attempt_id for one in told.attempts].count("hit") == 1
    assert told.decisions == {"key": decision}
    assert await bank.sums() == (10, 0, 0)
