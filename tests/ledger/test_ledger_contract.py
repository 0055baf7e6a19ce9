"""Every store of ours does what the contract for stores asks."""

import os

import pytest

from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.testing.ledger_store import LedgerStoreContract, check_histories

STEPS = 100
LONG = bool(os.environ.get("TORTURE"))
HISTORIES = int(os.environ.get("TORTURE_HISTORIES", "100000")) if LONG else 2_000
ON_ONE_STORE = 2_000


class TestTheStoreInMemory(LedgerStoreContract):
    shared = False

    @pytest.fixture
    def make_store(self):
        return MemoryStore


class HastySqliteStore(SqliteStore):
    """Does not wait for the disk: no test pulls the plug."""

    def _prepare(self):
        super()._prepare()
        self._connection.execute("PRAGMA synchronous = OFF")


class TestTheStoreInSqlite(LedgerStoreContract):
    @pytest.fixture
    def make_store(self, ledger_path):
        return lambda: HastySqliteStore(ledger_path)


class TestTheStoreInPostgres(LedgerStoreContract):
    @pytest.fixture
    def make_store(self, postgres_url):
        postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
        return lambda: postgres.PostgresStore(postgres_url, server_clock=False)


def check_on_fresh_stores(name, make_store, record_property):
    """The histories of one store lie in it to the end: many of them get several."""
    attempts = 0
    for number, begun in enumerate(range(0, HISTORIES, ON_ONE_STORE)):
        count = min(ON_ONE_STORE, HISTORIES - begun)
        attempts += check_histories({name: make_store(number)}, examples=count, steps=STEPS)
        print(f"{begun + count} histories without a difference")  # noqa: T201 - takes hours
    record_property(f"histories on {name}", f"{HISTORIES} of {STEPS} steps, {attempts} attempts")


@pytest.mark.torture
def test_any_history_on_sqlite(ledger_path, record_property):
    check_on_fresh_stores(
        "SQLite",
        lambda number: HastySqliteStore(ledger_path.with_name(f"{number}.db")),
        record_property,
    )


@pytest.mark.torture
def test_any_history_on_postgres(postgres_url, record_property):
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    check_on_fresh_stores(
        "PostgreSQL",
        lambda number: postgres.PostgresStore(f"{postgres_url}{number}", server_clock=False),
        record_property,
    )
