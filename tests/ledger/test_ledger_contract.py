"""Every store of ours does what the contract for stores asks."""

import os

import pytest

from orchestrator.ledger.memory import MemoryStore
from orchestrator.ledger.sqlite import SqliteStore
from orchestrator.testing.ledger_store import LedgerStoreContract, check_histories

STEPS = 100
EXAMPLES = int(os.environ.get("TORTURE_HISTORIES", "100000")) if os.environ.get("TORTURE") else None


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
        postgres = pytest.importorskip("orchestrator.ledger.postgres")
        return lambda: postgres.PostgresStore(postgres_url, server_clock=False)


@pytest.mark.torture
def test_any_history_on_sqlite(ledger_path, record_property):
    examples = EXAMPLES or 2_000
    attempts = check_histories(
        {"sqlite": HastySqliteStore(ledger_path)}, examples=examples, steps=STEPS
    )
    record_property("histories on SQLite", f"{examples} of {STEPS} steps, {attempts} attempts")


@pytest.mark.torture
def test_any_history_on_postgres(postgres_url, record_property):
    postgres = pytest.importorskip("orchestrator.ledger.postgres")
    examples = EXAMPLES or 300
    store = postgres.PostgresStore(postgres_url, server_clock=False)
    attempts = check_histories({"postgres": store}, examples=examples, steps=STEPS)
    record_property("histories on PostgreSQL", f"{examples} of {STEPS} steps, {attempts} attempts")
