"""A ledger from a URL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from orchestrator.core.clock import Clock
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.ledger.stored import StoredLedger

_FORMS = "write sqlite:///relative/ledger.db, sqlite:////absolute/ledger.db or memory://"


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


def ledger_from_url(
    url: str, *, clock: Clock, keep_bodies: timedelta | None = None
) -> StoredLedger:
    """The ledger that ``url`` names, not yet open.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``memory://``.
        clock: Tells when holds are overdue and bodies expire.
        keep_bodies: How long prompts and replies outlive the completion of their task; ``None``:
            they are removed with it.

    Raises:
        LedgerUnavailable: If there is no such kind of store.
    """
    path = sqlite_path(url)
    if path is not None:
        from orchestrator.ledger.sqlite import SqliteStore  # noqa: PLC0415 - only when used

        return StoredLedger(SqliteStore(path), clock, keep_bodies=keep_bodies)
    scheme = url.partition(":")[0]
    if scheme == "memory":
        from orchestrator.ledger.memory import MemoryStore  # noqa: PLC0415 - only when used

        return StoredLedger(MemoryStore(), clock, keep_bodies=keep_bodies)
    if scheme in ("postgres", "postgresql"):
        message = f"a ledger on PostgreSQL is not built yet; {_FORMS}"
    else:
        message = f"the store {url!r} is of no kind this version knows; {_FORMS}"
    raise LedgerUnavailable(message)
