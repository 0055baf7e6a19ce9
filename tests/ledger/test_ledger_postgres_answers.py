"""What PostgreSQL answers that is no success."""

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.factory import reader_from_url
from orchestrator.ledger.lessons import Lesson

psycopg = pytest.importorskip("psycopg")
postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
connection = pytest.importorskip("orchestrator.ledger.stores.postgres_connection")


@pytest.fixture
def store(postgres_url):
    return postgres.PostgresStore(postgres_url, server_clock=False)


async def test_a_commit_that_the_server_turned_into_a_rollback_is_no_success(
    bank, demand, monkeypatch
):
    await bank.open_task()
    with monkeypatch.context() as turned:
        turned.setattr(postgres, "COMMIT", postgres.Statement("ROLLBACK"))
        with pytest.raises(LedgerUnavailable, match="answered a commit with ROLLBACK"):
            await bank.hold(60, demand(100))

    assert await bank.sums() == (0, 0, 0)
    await bank.hold(100, demand(100))


async def test_a_statement_that_is_refused_costs_no_connection(bank, store):
    db = store._db
    lesson = Lesson(
        tenant="t",
        kind="gossip",
        task_id="task-1",
        step="plan",
        subject="key",
        body={},
        at=bank.clock.now(),
    )
    with pytest.raises(LedgerUnavailable, match="lessons_kind_check"):
        await bank.ledger.teach([lesson])

    await bank.open_task()
    assert store._db is db
    assert not db.closed


async def test_a_schema_that_is_no_ledgers_is_left_alone(postgres_url):
    place = connection.place_from_url(postgres_url)
    with connection.connect(place) as db:
        db.execute(f"CREATE SCHEMA {place.search_path}")
        db.execute("CREATE TABLE migrations (what TEXT)")

        with pytest.raises(LedgerUnavailable, match='the ledger cannot be read: column "number"'):
            reader_from_url(postgres_url)

        assert db.execute("SELECT count(*) FROM migrations").fetchone() == (0,)


def test_a_connection_that_cannot_be_set_up_is_closed(postgres_url, monkeypatch):
    made = []

    def connect(*given, **options):
        made.append(there(*given, **options))
        return made[-1]

    there = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(connection, "LOCK_TIMEOUT_S", "no ")

    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.connect(connection.place_from_url(postgres_url))

    assert [db.closed for db in made] == [True]
