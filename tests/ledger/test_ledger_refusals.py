"""What cannot be opened, migrated or read is refused by name, and left as it was."""

import sqlite3
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.halt import Halt, Probability
from orchestrator.ledger import factory
from orchestrator.ledger.codec import decode_halt, encode_halt
from orchestrator.ledger.factory import directory_of, ledger_from_url, reader_from_url
from orchestrator.ledger.stores import sqlite_schema, steady
from orchestrator.ledger.stores.sqlite import SqliteStore

POSTGRES = "postgresql://h/ledger"


def test_what_belongs_to_a_ledger_lies_beside_it_or_in_a_place_of_its_own(tmp_path):
    pytest.importorskip("psycopg")
    assert directory_of(f"sqlite:///{tmp_path}/ledger.db") == tmp_path
    assert directory_of("memory://") is None
    place = directory_of(POSTGRES)
    assert place is not None
    assert place.parent == Path(".orchestrator")
    assert place == directory_of(POSTGRES), "the same for all its users"
    assert place != directory_of(f"{POSTGRES}?schema=other")


def test_without_its_driver_a_ledger_on_postgres_says_what_to_install(monkeypatch, clock):
    monkeypatch.setattr(
        factory, "find_spec", lambda name: None if name == "psycopg" else find_spec(name)
    )
    for use in (directory_of, reader_from_url, lambda url: ledger_from_url(url, clock=clock)):
        with pytest.raises(LedgerUnavailable, match=r"pip install .*\[postgres\]"):
            use(POSTGRES)


def test_a_file_system_without_a_shared_log_is_refused(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda _, **options: connect(":memory:", **options))

    with pytest.raises(LedgerUnavailable, match="put it on a local disk"):
        SqliteStore(tmp_path / "ledger.db").open()


def test_a_store_that_is_not_open_says_so_and_closes_all_the_same(tmp_path):
    stores = [SqliteStore(tmp_path / "ledger.db")]
    if find_spec("psycopg"):
        postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
        stores.append(postgres.PostgresStore(POSTGRES))
    for store in stores:
        store.close()
        with pytest.raises(LedgerUnavailable, match="not open"):
            store.task("t")


def test_a_migration_that_fails_leaves_nothing_of_itself(monkeypatch):
    broken = (*sqlite_schema.MIGRATIONS, ("half", "CREATE TABLE half (a);\nCREATE nonsense;\n"))
    with sqlite3.connect(":memory:", isolation_level=None) as connection:
        monkeypatch.setattr(sqlite_schema, "MIGRATIONS", broken)
        with pytest.raises(sqlite3.OperationalError, match="nonsense"):
            sqlite_schema.migrate(connection)
        assert (
            connection.execute("SELECT * FROM sqlite_schema WHERE name = 'half'").fetchall() == []
        )
        monkeypatch.undo()
        sqlite_schema.migrate(connection)
    connection.close()


async def test_a_ledger_of_an_older_version_is_migrated_before_it_is_read(
    sqlite_bank, ledger_path, monkeypatch
):
    await sqlite_bank.aclose()
    later = (*sqlite_schema.MIGRATIONS, ("later", "CREATE TABLE later (a);\n"))
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", later)

    with pytest.raises(LedgerUnavailable, match="older version; run an agent"):
        reader_from_url(f"sqlite:///{ledger_path}")
    store = SqliteStore(ledger_path)
    store.open()
    store.close()
    reader_from_url(f"sqlite:///{ledger_path}").close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_ledger_that_breaks_while_it_is_read_says_so(kind, ledger_path, request, clock):
    if kind == "sqlite":
        url = f"sqlite:///{ledger_path}"
        store = SqliteStore(ledger_path)
    else:
        postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
        url = request.getfixturevalue("postgres_url")
        store = postgres.PostgresStore(url)
    store.open()
    store.close()
    with reader_from_url(url) as reader, pytest.raises(LedgerUnavailable, match="cannot be read"):
        list(reader._query("SELECT nonsense FROM nowhere", ()))


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server):
    psycopg = pytest.importorskip("psycopg")
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    with psycopg.connect(postgres_server, autocommit=True) as db:
        db.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    url = psycopg.conninfo.make_conninfo(postgres_server, dbname="ascii")
    told = psycopg.conninfo.conninfo_to_dict(url)

    with pytest.raises(LedgerUnavailable, match="encoding is not UTF8"):
        postgres.PostgresStore(
            f"postgresql:///ascii?host={told['host']}&user={told['user']}"
        ).open()


def test_a_machine_that_tells_no_start_has_no_steady_clock(monkeypatch, tmp_path):
    monkeypatch.setattr(steady, "_BOOT_ID", tmp_path / "absent")
    assert steady.steady_clock() is None
    monkeypatch.delattr(steady.time, "CLOCK_BOOTTIME", raising=False)
    assert steady.steady_clock() is None


def test_a_probability_is_kept_and_an_unknown_quantity_is_no_guess():
    halt = Halt(reason="confidence", scope="task", limit=Probability(0.9), spent=Probability(0.4))

    assert decode_halt(encode_halt(halt)) == halt
    unknown = encode_halt(halt).replace("probability", "likelihood")
    with pytest.raises(ValueError, match="no quantity that this version knows"):
        decode_halt(unknown)
