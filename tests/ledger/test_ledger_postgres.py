"""What only PostgreSQL does: a server that goes away, conflicts, clocks that differ, NOTIFY."""

import asyncio
import time
from datetime import timedelta

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.factory import ledger_from_url, reader_from_url
from orchestrator.ledger.stored import StoredLedger

psycopg = pytest.importorskip("psycopg")
postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
connection = pytest.importorskip("orchestrator.ledger.stores.postgres_connection")
schema = pytest.importorskip("orchestrator.ledger.stores.postgres_schema")


class Faults:
    """Does something at a named point, so many times."""

    def __init__(self):
        self.point, self.times, self.act = None, 0, None

    def arm(self, point, act, times=1):
        self.point, self.act, self.times = point, act, times

    def __call__(self, point):
        if point == self.point and self.times:
            self.times -= 1
            self.act()


def raising(error):
    def act():
        raise error

    return act


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def store(postgres_url, faults):
    return postgres.PostgresStore(postgres_url, server_clock=False, away_for_s=0.5, faults=faults)


@pytest.fixture
async def frail(store, open_bank):
    return await open_bank(store)


@pytest.fixture
def outside(postgres_url):
    """A connection of somebody else."""
    with connection.connect(connection.place_from_url(postgres_url)) as db:
        yield db


def cut(outside, name="orchestrator"):
    """Have the server throw everybody else out."""
    outside.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND application_name = %s AND datname = current_database()",
        (name,),
    )


CONFLICTS = [psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected]


@pytest.mark.parametrize("conflict", CONFLICTS)
@pytest.mark.parametrize("point", ["before begin", "before commit"])
async def test_a_conflict_is_tried_again_and_nobody_notices(frail, faults, demand, conflict, point):
    await frail.open_task()
    held = await frail.hold(60, demand(100))
    waiters = [await frail.waits(frail.hold(50 + n, demand(100))) for n in range(2)]
    faults.arm(point, raising(conflict("try again")), times=3)

    outcomes = await asyncio.gather(
        frail.settle(held, 10),
        frail.hold(101, demand(100)),
        frail.hold(5),
        frail.open_task(),
        return_exceptions=True,
    )

    names = [type(outcome).__name__ for outcome in outcomes]
    assert names == ["NoneType", "BudgetShort", "str", "TaskExists"]
    await waiters[0]
    assert faults.times == 0
    assert await frail.sums() == (10, 50, 0)
    assert not waiters[1].done()
    waiters[1].cancel()


@pytest.mark.parametrize("conflict", CONFLICTS)
async def test_a_conflict_that_does_not_pass_is_told(frail, faults, demand, conflict):
    await frail.open_task()
    faults.arm("before commit", raising(conflict("try again")), times=100)

    with pytest.raises(LedgerUnavailable, match="try again"):
        await frail.hold(60, demand(100))

    faults.times = 0
    assert await frail.sums() == (0, 0, 0)


async def test_a_conflict_while_reading_is_tried_again(frail, faults):
    await frail.open_task()
    faults.arm("before begin", raising(psycopg.errors.SerializationFailure("try again")))

    assert await frail.ledger.epoch("task-1") == 1
    assert faults.times == 0


@pytest.mark.parametrize("point", ["before begin", "before commit", "after commit"])
async def test_a_cut_connection_is_made_again_and_nobody_notices(
    frail, faults, demand, outside, point
):
    await frail.open_task()
    waited = await frail.hold(90, demand(100))
    waiter = await frail.waits(frail.hold(30, demand(100)))
    faults.arm(point, lambda: cut(outside))

    held = await frail.hold(5)
    await frail.settle(waited, 10)

    assert faults.times == 0
    await waiter
    await frail.settle(held, 5)
    assert await frail.sums() == (10, 30, 0)
    assert len((await frail.ledger.history("task-1")).attempts) == 3


@pytest.mark.parametrize("is_executed", [True, False])
async def test_a_commit_whose_answer_was_cut_off_is_looked_up(
    frail, store, demand, monkeypatch, is_executed
):
    await frail.open_task()
    cut_commit(store, monkeypatch, is_executed=is_executed)

    attempt = await frail.hold(60, demand(100))

    assert await frail.sums() == (0, 60, 0)
    await frail.settle(attempt, 60)
    assert len((await frail.ledger.history("task-1")).attempts) == 1


@pytest.mark.parametrize("is_executed", [True, False])
async def test_a_commit_nobody_can_tell_of_is_refused_and_released_later(
    frail, store, demand, monkeypatch, is_executed
):
    await frail.open_task()
    cut_commit(store, monkeypatch, is_executed=is_executed)
    there = connection.connect
    monkeypatch.setattr(postgres, "connect", raising_connect)

    with pytest.raises(LedgerUnavailable, match="cut during a commit"):
        await frail.hold(60, demand(100))
    with pytest.raises(LedgerUnavailable, match="away"):
        await frail.hold(60, demand(100))

    monkeypatch.setattr(postgres, "connect", there)
    await frail.hold(100, demand(100))
    assert await frail.sums() == (0, 100, 0)
    ends = [attempt.end for attempt in (await frail.ledger.history("task-1")).attempts]
    assert [end and end.end for end in ends] == (["released", None] if is_executed else [None])


def raising_connect(_):
    message = "the server is away"
    raise psycopg.OperationalError(message)


def cut_commit(store, monkeypatch, *, is_executed):
    """Cut the connection at the next commit, before or after the server carried it out."""
    send = store._send

    def cut_once(*last):
        monkeypatch.setattr(store, "_send", send)
        if is_executed:
            send(*last)
        store._pending.clear()
        store._db.close()
        raise postgres.ConnectionLost

    monkeypatch.setattr(store, "_send", cut_once)


async def test_a_server_that_stays_away_is_told_to_those_who_ask_and_those_who_wait(
    frail, demand, monkeypatch, outside
):
    await frail.open_task()
    await frail.hold(90, demand(100))
    waiter = await frail.waits(frail.hold(30, demand(100)))
    there = connection.connect
    monkeypatch.setattr(postgres, "connect", raising_connect)
    cut(outside)

    outcomes = await asyncio.gather(
        frail.hold(1, demand(100)), frail.balance(), waiter, return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {LedgerUnavailable}
    monkeypatch.setattr(postgres, "connect", there)
    await frail.hold(10, demand(100))
    assert await frail.sums() == (0, 100, 0)


async def test_a_listener_that_was_cut_off_hears_again(postgres_url, open_bank, demand, outside):
    stores = [postgres.PostgresStore(postgres_url) for _ in range(2)]
    for store in stores:
        store.look_after_s = (600.0, 600.0)
    here, there = [await open_bank(store) for store in stores]
    there.numbers = here.numbers
    await here.open_task()
    held = await there.hold(90, demand(100))
    waiter = await here.waits(here.hold(50, demand(100)))
    cut(outside)

    await there.settle(held, 40)

    await asyncio.wait_for(waiter, 10)
    assert await here.sums() == (40, 50, 0)


async def test_a_clock_that_is_an_hour_ahead_expires_nobody_elses_hold(
    postgres_url, open_bank, demand, clock
):
    here, there = [await open_bank(postgres.PostgresStore(postgres_url)) for _ in range(2)]
    await here.open_task()
    await here.hold(60, demand(100))
    there.clock.advance(hours=1)

    assert await there.ledger.expire_overdue() == 0
    assert await there.sums() == (0, 60, 0)


async def test_a_hold_expires_by_the_servers_clock(postgres_url, open_bank, demand):
    here, there = [await open_bank(postgres.PostgresStore(postgres_url)) for _ in range(2)]
    await here.open_task()
    await here.hold(60, demand(100), expires_at=here.clock.now() + timedelta(milliseconds=50))
    await asyncio.sleep(0.1)

    assert await there.ledger.expire_overdue() == 1
    assert await there.sums() == (0, 0, 60)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_restarts_under_load_is_back_without_help(
    start_postgres, restart_postgres, open_bank, demand, mode
):
    """What was said to be recorded is; what was refused may be tried again; no hold is lost."""
    server = start_postgres()
    banks = [await open_bank(postgres.PostgresStore(server.get_uri())) for _ in range(2)]
    banks[1].numbers = banks[0].numbers
    await banks[0].open_task()
    limit = demand(10**9)
    settled = refused = 0
    until = time.monotonic() + 2.5

    async def spend(bank):
        nonlocal settled, refused
        while time.monotonic() < until:
            try:
                await bank.settle(await bank.hold(50, limit), 20, reply=b"reply")
                settled += 1
            except LedgerUnavailable:
                refused += 1

    spending = [asyncio.create_task(spend(bank)) for bank in banks for _ in range(8)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        before = settled
        await asyncio.to_thread(restart_postgres, server, mode)
    await asyncio.gather(*spending)

    assert before < settled
    booked, held, disputed = await banks[0].sums()
    assert booked >= settled * 20
    assert booked // 20 + held // 50 <= settled + refused
    assert disputed == 0
    for bank in banks:
        await bank.aclose()


async def test_text_that_postgres_cannot_hold_is_refused_to_its_caller_alone(frail, demand):
    await frail.open_task()

    outcomes = await asyncio.gather(
        frail.hold(1, demand(100), step="a\0b"),
        frail.hold(2, demand(100)),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], ValueError)
    await frail.settle(outcomes[1], 2, error="a\0b", served_model="m\0")
    (attempt,) = (await frail.ledger.history("task-1")).attempts
    assert attempt.end.error == "a\N{REPLACEMENT CHARACTER}b"


async def test_a_question_that_postgres_cannot_read_spoils_no_other(frail):
    await frail.open_task()

    asked = await asyncio.gather(
        *(frail.ledger.task(name) for name in ("task-1", "a\0b", "task-1")), return_exceptions=True
    )

    assert isinstance(asked[1], ValueError)
    assert asked[0] == asked[2]
    assert asked[0].status == "running"


@pytest.mark.parametrize("table", ["attempts", "ends", "decisions", "tasks"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET task_id = ''"]
)
async def test_facts_cannot_be_changed_or_removed(frail, demand, outside, table, statement):
    if table == "ends":
        statement = statement.replace("task_id = ''", "cost = 0")
    with pytest.raises(psycopg.errors.RestrictViolation, match=r"append-only|never"):
        outside.execute(statement.format(table))


async def test_a_reader_cannot_write(frail, postgres_url):
    with (
        reader_from_url(postgres_url) as reader,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        reader._db.execute("UPDATE tasks SET status = 'failed'")


async def test_a_database_without_a_ledger_is_told(postgres_url):
    with pytest.raises(LedgerUnavailable, match="run an agent first"):
        reader_from_url(postgres_url)


async def test_a_server_that_is_not_there_is_told_at_once(tmp_path, clock):
    url = f"postgresql:///ledger?host={tmp_path}"
    ledger = ledger_from_url(url, clock=clock)
    assert isinstance(ledger, StoredLedger)
    with pytest.raises(LedgerUnavailable, match="No such file"):
        await ledger.open()
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        reader_from_url(url)


async def test_a_newer_ledger_is_refused(frail, outside, postgres_url, clock):
    outside.execute("INSERT INTO migrations VALUES (99, 'later')")

    with pytest.raises(LedgerUnavailable, match="newer version"):
        await ledger_from_url(postgres_url, clock=clock).open()
    with pytest.raises(LedgerUnavailable, match="newer version"):
        reader_from_url(postgres_url)


async def test_ledgers_that_open_at_once_make_the_schema_once(postgres_url, outside, clock):
    ledgers = [ledger_from_url(postgres_url, clock=clock) for _ in range(6)]
    await asyncio.gather(*(ledger.open() for ledger in ledgers))
    await asyncio.gather(*(ledger.aclose() for ledger in ledgers))
    made = outside.execute("SELECT count(*) FROM migrations").fetchone()
    assert made == (len(schema.MIGRATIONS),)


def test_a_url_names_a_schema_and_keeps_what_libpq_knows():
    place = connection.place_from_url("postgresql://u:p@h1:1,h2:2/db?schema=a%20b&sslmode=require")
    known = psycopg.conninfo.conninfo_to_dict(place.conninfo)
    assert place.schema == "a b"
    assert (known["host"], known["port"], known["dbname"]) == ("h1,h2", "1,2", "db")
    assert (known["sslmode"], known["target_session_attrs"]) == ("require", "read-write")
    assert connection.place_from_url("postgres:///db").schema == "orchestrator"


@pytest.mark.parametrize("url", ["postgresql://h/db?no=such", "postgresql:///db?schema="])
def test_a_url_that_makes_no_sense_is_told_without_its_password(url, clock):
    with pytest.raises(LedgerUnavailable) as caught:
        ledger_from_url(url.replace("//", "//u:secret@", 1), clock=clock)
    assert "secret" not in str(caught.value)
