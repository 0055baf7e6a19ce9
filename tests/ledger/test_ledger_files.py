"""The file itself: who may read it, what may be changed in it, which versions and names it has."""

import asyncio
import sqlite3
import stat

import pytest

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.factory import ledger_from_url
from orchestrator.ledger.stores import sqlite_schema
from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.ledger.stores.sqlite_schema import MIGRATIONS

REPLACEMENT = """
INSERT OR REPLACE INTO attempts SELECT seq + 9, attempt_id, task_id, epoch, key, request_hash, step,
    kind, model, provider_model, 0, account_ids, expires_at_us, at_us, token_bound,
    origin
    FROM attempts
"""


@pytest.fixture
def outside(ledger_path, sqlite_bank):
    """A connection of somebody else."""
    connection = sqlite3.connect(ledger_path, isolation_level=None, timeout=0)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET reserve = 0",
        "DELETE FROM attempts",
        "INSERT OR REPLACE INTO attempts SELECT * FROM attempts",
        "UPDATE ends SET cost = 0",
        "DELETE FROM ends",
        REPLACEMENT,
        "INSERT OR REPLACE INTO ends SELECT * FROM ends",
        "UPDATE decisions SET accepted = 0",
        "DELETE FROM decisions",
        "INSERT OR REPLACE INTO decisions SELECT * FROM decisions",
        "UPDATE tasks SET team = 'sales'",
        "DELETE FROM tasks",
    ],
)
async def test_facts_are_append_only_whoever_writes(sqlite_bank, outside, demand, statement):
    await sqlite_bank.open_task()
    attempt = await sqlite_bank.hold(60, demand(100))
    await sqlite_bank.settle(attempt, 20)
    sqlite_bank.ledger.decide(sqlite_bank.decision(attempt))
    before = await sqlite_bank.ledger.history("task-1")

    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never"):
        outside.execute(statement)

    assert await sqlite_bank.ledger.history("task-1") == before


async def test_only_its_owner_can_read_the_ledger(sqlite_bank, ledger_path, demand):
    await sqlite_bank.open_task()
    await sqlite_bank.hold(1, demand(100))

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [ledger_path.parent, *ledger_path.parent.iterdir()]
    }

    assert modes == {
        "store": 0o700,
        "ledger.db": 0o600,
        "ledger.db-wal": 0o600,
        "ledger.db-shm": 0o600,
    }


async def test_every_commit_waits_for_the_disk(sqlite_bank):
    settings = []

    def ask(unit):
        execute = unit.flushed()._connection.execute
        for name in ["journal_mode", "synchronous"]:
            settings.extend(execute(f"PRAGMA {name}").fetchone())

    await sqlite_bank.ledger._ask(ask)

    assert settings == ["wal", 2]


async def test_migrations_run_once(ledger_path, open_bank, outside):
    await open_bank(SqliteStore(ledger_path))

    ran = outside.execute("SELECT number, name FROM migrations").fetchall()

    assert ran == [(number, name) for number, (name, _) in enumerate(MIGRATIONS, start=1)]


def test_a_ledger_whose_ends_are_slow_keeps_them(tmp_path, monkeypatch):
    before = next(n for n, (name, _) in enumerate(MIGRATIONS) if name == "quick ends")
    with monkeypatch.context() as older:
        older.setattr(sqlite_schema, "MIGRATIONS", MIGRATIONS[:before])
        db = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        sqlite_schema.migrate(db)
    ends = [
        (7, "settled", 5, 1, "known", 0.5, 1, 2, 3, 4, 5, "m", "p", None, 9, 6, 0.25),
        (8, "expired", 5, 0, "unknown", 1.5, *[None] * 7, "died", 10, 0, 0.0),
    ]
    db.executemany(f"INSERT INTO ends VALUES ({', '.join('?' * 17)})", ends)

    sqlite_schema.migrate(db)

    assert db.execute("SELECT * FROM ends ORDER BY seq").fetchall() == ends
    assert db.execute("SELECT * FROM attempt_records").fetchall() == []
    for change in ("UPDATE ends SET cost = 0", "DELETE FROM ends"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(change)
    for kind, certainty in (("lost", "known"), ("settled", "sure")):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            db.execute(
                "INSERT INTO ends VALUES (9, ?, 5, 0, ?, 1, 0, 0, 0, 0, 0, '', '', '', 1, 0, 0)",
                (kind, certainty),
            )
    db.close()


async def test_ledgers_opened_at_once_migrate_once(ledger_path, open_bank, demand):
    banks = await asyncio.gather(*(open_bank(SqliteStore(ledger_path)) for _ in range(6)))

    await banks[0].open_task()
    for number, bank in enumerate(banks):
        await bank.hold(1, demand(100), attempt_id=f"a{number}")

    assert await banks[0].sums() == (0, 6, 0)


async def test_a_ledger_of_a_newer_version_is_left_alone(sqlite_bank, ledger_path, outside, clock):
    await sqlite_bank.aclose()
    outside.execute("INSERT INTO migrations VALUES (99, 'future', 0)")
    ledger = ledger_from_url(f"sqlite:///{ledger_path}", clock=clock)

    with pytest.raises(LedgerUnavailable, match="newer version"):
        await ledger.open()
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.epoch("task-1")


async def test_a_file_that_is_no_ledger_is_left_alone(tmp_path, clock):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and long enough to be taken for one " * 100)

    with pytest.raises(LedgerUnavailable, match="not a database"):
        await ledger_from_url(f"sqlite:///{path}", clock=clock).open()

    assert path.read_text().startswith("not a database")


async def test_a_directory_that_cannot_be_made_makes_the_ledger_unavailable(tmp_path, clock):
    (tmp_path / "file").touch()

    with pytest.raises(LedgerUnavailable):
        await ledger_from_url(f"sqlite:///{tmp_path}/file/ledger.db", clock=clock).open()


async def test_a_url_names_a_relative_or_an_absolute_path(tmp_path, monkeypatch, clock):
    monkeypatch.chdir(tmp_path)
    for url in ["sqlite:///here/ledger.db", f"sqlite:///{tmp_path}/there/ledger.db", "memory://"]:
        ledger = ledger_from_url(url, clock=clock)
        await ledger.open()
        await ledger.aclose()

    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.db"))
    assert found == ["here/ledger.db", "there/ledger.db"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://localhost/ledger", "of no kind"),
        ("ledger.db", "of no kind"),
        ("sqlite://ledger.db", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///directory/", "names no file"),
    ],
)
def test_a_url_that_names_no_store_says_what_to_write(url, reason, clock):
    with pytest.raises(LedgerUnavailable, match=reason) as caught:
        ledger_from_url(url, clock=clock)

    assert "sqlite:///relative/ledger.db" in str(caught.value)
