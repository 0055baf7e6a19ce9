"""Every N-th statement, write and sync fails: nothing is claimed that is not so, and it goes on.

A run of a task is carried out operation by operation, each again until it is recorded, while the
N-th access to the store fails. Whatever N is, the ledger holds in the end what it holds without a
fault, and no operation that was refused had been recorded in silence.
"""

import itertools
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    Decision,
    Demand,
    TaskClosing,
    TaskOpening,
)
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.testing.sqlite_disk import FULL, IOERR_FSYNC, disk
from orchestrator.testing.teller import Teller

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEAM = Account("team", "acme/research", "total")
LONG = bool(os.environ.get("TORTURE"))
STRIDE = 1 if LONG else 7


class Fault:
    """Fails the N-th time it is asked, and so often from there on."""

    def __init__(self, number, times=1):
        self.begins, self.ends = number, number + times
        self.asked = itertools.count(1)
        self.met = 0

    def __call__(self):
        is_now = self.begins <= next(self.asked) < self.ends
        self.met += is_now
        return is_now


def story(teller, prefix):
    """What a task with two attempts asks of a ledger, in order; made anew at each try."""
    scope = Scope("acme", "research", "writer", prefix, "t")
    opening = TaskOpening(
        scope=scope,
        owner="p",
        graph="g",
        policy="p",
        input_type="json",
        input_body=b"{}",
        at=NOON,
    )
    intents = [
        AttemptIntent(
            attempt_id=f"{prefix}-{number}",
            task_id=prefix,
            epoch=1,
            key=str(number),
            request_hash="h",
            step="s",
            kind="ask",
            model="m",
            provider_model="m",
            reserve=Money(60),
            expires_at=NOON + timedelta(seconds=130),
            at=NOON,
        )
        for number in range(2)
    ]
    ends = [
        AttemptEnd(
            attempt_id=intent.attempt_id,
            end="settled",
            cost=Money(20),
            certainty="known",
            seconds=1.0,
            at=NOON,
            reply=b"reply" * 2000,
        )
        for intent in intents
    ]
    decision = Decision(
        task_id=prefix,
        key="0",
        step="s",
        attempt_id=intents[0].attempt_id,
        accepted=True,
        confidence=None,
        confidence_state="uncalibrated",
        at=NOON,
    )
    ending = TaskClosing(task_id=prefix, epoch=1, status="halted", running_s=1.0, at=NOON)
    demands = [Demand(TEAM, Money(10**9))]
    return [
        lambda: teller.open_task(opening),
        lambda: teller.reserve(intents[0], demands),
        lambda: teller.reserve(intents[1], demands),
        lambda: teller.end(ends[0]),
        lambda: teller.decide(decision),
        lambda: teller.end(ends[1]),
        lambda: teller.close_task(ending),
    ]


def tell(teller, prefix):
    """Tell the story, each part until it is recorded; how often a part was refused."""
    refused = 0
    for make in story(teller, prefix):
        for tries in range(20):
            operation = make()
            # What is noted and could not be written is kept, and written with what comes next.
            is_kept = tries > 0 and operation.urgency == "note"
            if teller.carry_out([] if is_kept else [operation]):
                # It would be refused if a try before that failed had been recorded in silence.
                assert operation.error is None, operation.error
                break
            assert is_kept or isinstance(operation.error, LedgerUnavailable)
            refused += 1
        else:
            pytest.fail("it never recovered")
    return refused


def facts(teller, prefix):
    def ask(unit):
        store = unit.flushed()
        return store.task(prefix), store.history(prefix)

    record, history = teller.read(ask)
    return (
        record.status,
        [(one.intent.key, one.end.cost, one.end.reply) for one in history.attempts],
        list(history.decisions),
    )


def see_that_it_is_whole(teller, told):
    assert facts(teller, told) == facts(teller, "without a fault")
    assert teller.verify().is_sound


class Brittle:
    """A connection whose N-th statement fails."""

    def __init__(self, db, fault, fail):
        self._db, self._fault, self._fail = db, fault, fail

    def __getattr__(self, name):
        return getattr(self._db, name)

    def execute(self, *arguments):
        if self._fault():
            self._fail(self._db)
        return self._db.execute(*arguments)

    def executemany(self, *arguments):
        if self._fault():
            self._fail(self._db)
        return self._db.executemany(*arguments)


def broken(_):
    message = "disk I/O error"
    raise sqlite3.OperationalError(message)


def busy(_):
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise error


@pytest.fixture
def teller(ledger_path):
    store = SqliteStore(ledger_path, busy_for_s=0.01)
    store._patiently.sleep = lambda _: None
    teller = Teller(store, lambda: NOON)
    teller.open()
    assert tell(teller, "without a fault") == 0
    yield teller
    teller.close()


@pytest.mark.torture
@pytest.mark.parametrize("fail", [broken, busy])
@pytest.mark.parametrize("times", [1, 4])
def test_every_nth_statement_fails_on_sqlite(teller, fail, times, record_property):
    whole = teller.store._db
    refused = 0
    for number in itertools.count(1, STRIDE):
        fault = Fault(number, times)
        teller.store._db = Brittle(whole, fault, fail)
        refused += tell(teller, f"told {number}")
        teller.store._db = whole
        see_that_it_is_whole(teller, f"told {number}")
        if not fault.met:
            break
    assert number > 30, "that many statements there are"
    assert refused > 0
    record_property(
        f"statement N of SQLite {fail.__name__} x {times}", f"N to {number}, {refused} refused"
    )


@pytest.mark.torture
@pytest.mark.parametrize(("access", "code"), [("write", FULL), ("sync", IOERR_FSYNC)])
@pytest.mark.parametrize("times", [1, 4])
def test_every_nth_write_and_sync_fails(ledger_path, access, code, times, record_property):
    """A disk that is full, and one whose fsync fails: SQLite's own error paths, and ours."""
    fault = Fault(10**9)
    refused = 0
    teller = Teller(SqliteStore(ledger_path), lambda: NOON)
    with disk(lambda kind: code if kind == access and fault() else 0), closing(teller):
        teller.open()
        teller.store._db.execute("PRAGMA wal_autocheckpoint = 10")
        tell(teller, "without a fault")
        for number in itertools.count(1, STRIDE if access == "write" else 1):
            fault = Fault(number, times)
            refused += tell(teller, f"told {number}")
            fault.ends = 0
            see_that_it_is_whole(teller, f"told {number}")
            if not fault.met:
                break
    assert refused > 0
    record_property(f"{access} N x {times}", f"N to {number}, {refused} refused")


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["SerializationFailure", "DeadlockDetected", "cut", "DiskFull"])
def test_every_nth_statement_fails_on_postgres(postgres_url, kind, record_property):
    psycopg = pytest.importorskip("psycopg")
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")

    def fail(db):
        if kind == "cut":
            db.close()
            error = psycopg.OperationalError
        else:
            error = getattr(psycopg.errors, kind)
        message = f"{kind} on purpose"
        raise error(message)

    teller = Teller(postgres.PostgresStore(postgres_url, server_clock=False), lambda: NOON)
    teller.open()
    tell(teller, "without a fault")
    refused = 0
    for number in itertools.count(1, STRIDE):
        fault = Fault(number)
        whole = teller.store._db
        teller.store._db = Brittle(whole, fault, fail)
        refused += tell(teller, f"told {number}")
        if not whole.closed:
            teller.store._db = whole
        see_that_it_is_whole(teller, f"told {number}")
        if not fault.met:
            break
    teller.close()
    assert number > 30, "that many statements there are"
    assert (refused > 0) == (kind == "DiskFull"), "the others pass, and nobody notices"
    record_property(f"statement N of PostgreSQL {kind}", f"N to {number}, {refused} refused")
