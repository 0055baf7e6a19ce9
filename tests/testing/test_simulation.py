"""Whole lives of tasks in virtual time, by seeds: see orchestrator.testing.simulation."""

import itertools
import os

import pytest

from orchestrator.ledger.stores.memory import MemoryStore
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.testing.simulation import simulate

LONG = bool(os.environ.get("TORTURE"))


class SteadyTime:
    """The machine's clock in a simulation."""

    boot = "this start"

    def __init__(self, time):
        self.time = time

    def now_us(self):
        return int(self.time.seconds * 1_000_000)


def in_memory():
    store = MemoryStore()
    return lambda time: store


@pytest.fixture
def in_sqlite(tmp_path):
    numbers = itertools.count()

    class HastyStore(SqliteStore):
        def _prepare(self):
            super()._prepare()
            self._connection.execute("PRAGMA synchronous = OFF")

    def fresh():
        path = tmp_path / f"{next(numbers)}.db"
        return lambda time: HastyStore(path, steady=SteadyTime(time))

    return fresh


@pytest.fixture
def in_postgres(postgres_url):
    postgres = pytest.importorskip("orchestrator.ledger.stores.postgres")
    numbers = itertools.count()

    def fresh():
        url = f"{postgres_url}{next(numbers)}"
        return lambda time: postgres.PostgresStore(url, server_clock=False)

    return fresh


def check(fresh, seeds, *, is_steady=False):
    """What was seen in all of them together."""
    simulations = [simulate(seed, fresh(), is_steady=is_steady) for seed in seeds]
    audits = sum(one.auditor.audits for one in simulations)
    doubts = sum(len(one.auditor.doubts) for one in simulations)
    assert doubts, "nobody died with something on the wire: nothing was shown"
    return f"{len(simulations)} seeds, {audits} states, {doubts} in doubt, no promise broken"


@pytest.fixture
def seeds(request):
    if (seed := request.config.getoption("seed")) is not None:
        return lambda long, short: [seed]
    return lambda long, short: range(long if LONG else short)


def test_one_seed_makes_one_history():
    histories = [simulate(7, in_memory()).world.told for _ in range(2)]

    assert histories[0] == histories[1]
    assert histories[0] != simulate(8, in_memory()).world.told


@pytest.mark.torture
def test_no_promise_is_broken_in_memory(seeds, record_property):
    record_property("simulations in memory", check(in_memory, seeds(5_000, 20)))


@pytest.mark.torture
def test_no_promise_is_broken_in_sqlite(in_sqlite, seeds, record_property):
    record_property("simulations in SQLite", check(in_sqlite, seeds(1_000, 6), is_steady=True))


@pytest.mark.torture
def test_no_promise_is_broken_in_postgres(in_postgres, seeds, record_property):
    record_property("simulations in PostgreSQL", check(in_postgres, seeds(200, 1)))
