"""From an address to a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import Store, StoreFault

_REDIS = frozenset({"redis", "rediss", "unix"})


def store_at(address: str | Path, settings: StoreSettings | None = None) -> Store:
    """The store at ``address``, not opened yet.

    Args:
        address: A directory, or the URL of a Redis (``redis://host:6379/0``, ``rediss://``,
            ``unix:///path``).
        settings: Its limits.

    Raises:
        StoreFault: If it is a Redis and the extra ``redis`` is not installed.
        ValueError: If it is the URL of something else.
    """
    scheme = urlsplit(str(address)).scheme if "://" in str(address) else ""
    if scheme in _REDIS:
        try:
            from orchestrator.memo.redis_store import RedisStore  # noqa: PLC0415 - an extra
        except ImportError as error:
            message = "a memo in Redis needs the extra: install cost-aware-orchestrator[redis]"
            raise StoreFault(message) from error
        return RedisStore(str(address), settings)
    if scheme:
        message = f"{scheme}:// is no address of a memo; name a directory or a redis:// URL"
        raise ValueError(message)
    from orchestrator.memo.disk import DiskStore  # noqa: PLC0415 - loads SQLite

    return DiskStore(address, settings)
