"""What the records say of themselves."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.records import (
    HALTED_UNSENT,
    WITHDRAWN,
    Account,
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Balance,
)
from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Changes,
    Hold,
    Wanted,
    from_us,
    life_us,
    to_us,
)
from orchestrator.ledger.stores.sqlite import is_busy
from orchestrator.ledger.stores.steady import steady_clock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def record(kind="ask", *, is_open=False, token_bound=500, **fields):
    intent = AttemptIntent(
        attempt_id="a",
        task_id="t",
        epoch=1,
        key="k",
        request_hash="h",
        step="s",
        kind=kind,
        model="m",
        provider_model="p/m",
        reserve=Money(10),
        expires_at=NOON + timedelta(seconds=130),
        at=NOON,
        token_bound=token_bound,
    )
    made = {"end": "settled", "cost": Money(10), "certainty": "known", "seconds": 1.0, "at": NOON}
    end = AttemptEnd(attempt_id="a", **{**made, **fields})
    return AttemptRecord(intent, None if is_open else end)


@pytest.mark.parametrize(
    ("one", "tokens"),
    [
        (record(is_open=True), 500),
        (record(usage=Usage(7, 5)), 12),
        (record(cost=Money(3), usage=Usage(7, 5)), 12),
        (record(cost=Money(10)), 500),
        (record(cost=Money(9)), 0),
        (record(end="released", cost=Money.ZERO), 0),
        (record(end="expired", certainty="unknown"), 500),
    ],
)
def test_an_attempt_counts_the_tokens_that_were_told_or_else_its_bound_if_it_was_billed_so(
    one, tokens
):
    assert one.tokens == tokens


@pytest.mark.parametrize("kind", ["ask", "retry", "judge", "audit", "refresh"])
def test_what_may_have_left_was_sent(kind):
    assert record(kind).was_sent is True
    assert record(kind, is_open=True).was_sent is True
    assert record(kind, error="cut").was_sent is True
    assert record(kind, end="released", error=HALTED_UNSENT).was_sent is False
    assert record(kind, end="released", error=WITHDRAWN).was_sent is False


@pytest.mark.parametrize("kind", ["memo", "person", "tool", "resource"])
def test_what_asks_no_model_was_not_sent(kind):
    assert record(kind).was_sent is False
    assert record(kind, is_open=True).was_sent is False
    assert record(kind).is_hit is (kind in {"memo", "person"})


def test_only_what_expired_and_is_not_known_is_in_doubt():
    assert record(end="expired", certainty="unknown").is_in_doubt is True
    assert record(end="expired", certainty="known").is_in_doubt is False
    assert record(certainty="unknown").is_in_doubt is False
    assert record(is_open=True).is_in_doubt is False


def test_what_is_not_said_of_an_attempt_is_nothing():
    intent, end = record().intent, record().end
    made = {name: getattr(intent, name) for name in AttemptIntent.__dataclass_fields__}
    del made["token_bound"], made["origin"]
    assert (AttemptIntent(**made).token_bound, AttemptIntent(**made).origin) == (0, None)
    assert (end.overrun, end.saved, end.saved_seconds) == (Money.ZERO, Money.ZERO, 0.0)
    assert {end.usage, end.served_model, end.price_source, end.error, end.reply} == {None}


def test_a_window_begins_with_its_first_instant_and_ends_before_the_next():
    instant = timedelta(microseconds=1)
    day = Account("team", "acme/research", "day", NOON, NOON + timedelta(days=1))
    assert [day.contains(NOON - instant), day.contains(NOON)] == [False, True]
    assert [day.contains(day.ends_at - instant), day.contains(day.ends_at)] == [True, False]
    assert Account("team", "acme/research", "total").contains(NOON)
    assert day.key == "team|acme/research|day"


def test_what_is_settled_reserved_or_disputed_is_committed_and_an_overrun_is_not():
    assert Balance(Money(1), Money(20), Money(300), Money(4000)).committed == Money(321)
    row = AccountRow(7, "key", 1, 20, 300, 4000)
    assert row.balance() == Balance(Money(1), Money(20), Money(300), Money(4000))
    copy = row.copy()
    copy.settled = 2
    assert (copy.account_id, copy.key, copy.overrun, row.settled) == (7, "key", 4000, 1)


def test_instants_are_microseconds_since_1970():
    assert to_us(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_us(NOON) == 1_795_176_000_000_000
    assert from_us(to_us(NOON) + 1) == NOON + timedelta(microseconds=1)
    assert life_us(record().intent) == 130_000_000


def test_a_hold_that_ended_is_the_same_but_open_no_more():
    hold = Hold(1, "a", "t", 2, 3, (4, 5), 6, 7, is_open=True)
    assert hold.ended() == Hold(1, "a", "t", 2, 3, (4, 5), 6, 7, is_open=False)


@pytest.mark.parametrize("name", ["tasks", "accounts", "holds"])
def test_whoever_wants_anything_wants_something(name):
    assert Wanted(**{name: {"one"}})
    assert not Wanted()


@pytest.mark.parametrize(
    ("code", "busy"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_LOCKED, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_READ, False),
        (sqlite3.SQLITE_READONLY, False),
    ],
)
def test_only_a_file_that_somebody_else_holds_is_busy(code, busy):
    error = sqlite3.OperationalError("no")
    assert not is_busy(error)
    error.sqlite_errorcode = code
    assert is_busy(error) is busy


def test_the_machines_clock_counts_microseconds():
    steady = steady_clock()
    if steady is None:
        pytest.skip("this machine has none")
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    between = steady.now_us()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before // 1000 <= between <= after // 1000


def test_the_store_in_memory_writes_an_attempt_once():
    """Any other store refuses it, so the model must not hide that somebody tries."""
    hold = Hold(1, "a", "t", 1, 10, (), to_us(NOON), to_us(NOON), is_open=True)
    changes = Changes(intents=[(hold, record().intent)])
    store = MemoryStore()
    store.write(changes)
    with pytest.raises(LookupError, match="attempt a is there already"):
        store.write(changes)
