"""A ledger from a URL, or what reads one."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from orchestrator.core.clock import Clock, SystemClock
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.sealing import Seal
from orchestrator.ledger.sealed import SealedLedger
from orchestrator.ledger.stored import StoredLedger
from orchestrator.ledger.stores.reading import LedgerReader
from orchestrator.ledger.stores.steady import steady_clock
from orchestrator.ledger.stores.store import Store

_DIRECTORY = Path(".orchestrator")
_FORMS = (
    "write sqlite:///relative/ledger.db, sqlite:////absolute/ledger.db,"
    " postgresql://user@host/database or memory://"
)


def sqlite_path(url: str) -> Path | None:
    """The file a ``sqlite:`` URL names; ``None`` if it is another kind of URL.

    Three slashes make the path relative, four make it absolute.

    Raises:
        LedgerUnavailable: If it names no file.
    """
    scheme, _, rest = url.partition(":")
    if scheme != "sqlite":
        return None
    name = rest.removeprefix("///")
    if name == rest or not name or name.endswith("/") or name == ":memory:":
        message = f"the store {url!r} names no file; {_FORMS}"
        raise LedgerUnavailable(message)
    return Path(name)


def is_postgres(url: str) -> bool:
    """Whether ``url`` names a PostgreSQL database; without its driver, which is an extra, an error.

    Raises:
        LedgerUnavailable: If the driver is not installed.
    """
    if url.partition(":")[0] not in ("postgres", "postgresql"):
        return False
    if find_spec("psycopg") is None:
        message = (
            "a ledger on PostgreSQL needs its driver; "
            "install it with: pip install 'cost-aware-orchestrator[postgres]'"
        )
        raise LedgerUnavailable(message)
    return True


def directory_of(url: str) -> Path | None:
    """Where on this machine lies what belongs to a ledger but not in it; ``None``: in memory.

    Beside a SQLite file; with PostgreSQL in a directory of the ledger's own under
    ``.orchestrator``.

    Raises:
        LedgerUnavailable: If the URL cannot be understood, or the driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return path.parent
    if is_postgres(url):
        from orchestrator.ledger.stores.postgres_connection import (  # noqa: PLC0415 - only when used
            place_from_url,
        )

        return _DIRECTORY / place_from_url(url).directory
    return None


def ledger_from_url(
    url: str, *, clock: Clock, keep_bodies: timedelta | None = None, seal: Seal | None = None
) -> StoredLedger:
    """The ledger that ``url`` names, not yet open.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``,
            ``postgresql://user@host/database?schema=name`` or ``memory://``.
        clock: Tells when holds are overdue and bodies expire.
        keep_bodies: How long prompts and replies outlive the completion of their task; ``None``:
            they are removed with it.
        seal: Seals and opens the bodies; ``None``: they are written and read as they are.

    Raises:
        LedgerUnavailable: If there is no such kind of store.
    """

    def made(store: Store) -> StoredLedger:
        if seal is None:
            return StoredLedger(store, clock, keep_bodies=keep_bodies)
        return SealedLedger(store, clock, seal=seal, keep_bodies=keep_bodies)

    path = sqlite_path(url)
    if path is not None:
        from orchestrator.ledger.stores.sqlite import SqliteStore  # noqa: PLC0415 - only when used

        # A clock of a test's own tells its own time.
        steady = steady_clock() if isinstance(clock, SystemClock) else None
        return made(SqliteStore(path, steady=steady))
    if is_postgres(url):
        from orchestrator.ledger.stores.postgres import PostgresStore  # noqa: PLC0415 - only when used

        return made(PostgresStore(url))
    if url.partition(":")[0] == "memory":
        from orchestrator.ledger.stores.memory import MemoryStore  # noqa: PLC0415 - only when used

        return made(MemoryStore())
    message = f"the store {url!r} is of no kind this version knows; {_FORMS}"
    raise LedgerUnavailable(message)


def reader_from_url(url: str) -> LedgerReader:
    """A reader of the ledger that ``url`` names.

    Raises:
        LedgerUnavailable: If it cannot be read from outside of its process.
    """
    path = sqlite_path(url)
    if path is not None:
        from orchestrator.ledger.stores.sqlite_reading import SqliteReader  # noqa: PLC0415 - when used

        return SqliteReader(path)
    if is_postgres(url):
        from orchestrator.ledger.stores.postgres_reading import PostgresReader  # noqa: PLC0415 - when used

        return PostgresReader(url)
    message = f"the store {url!r} cannot be read from here; name a sqlite: or postgresql: store"
    raise LedgerUnavailable(message)
