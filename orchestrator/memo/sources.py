"""The present versions of what answers are made from: a catalogue, a document, a table.

Versions belong to a tenant. A source that no one ever touched gets a version of its own when the
first answer is made from it, so that losing the record of a version never looks like no change.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

import orjson

from orchestrator.core.clock import Clock
from orchestrator.memo.freshness import Source
from orchestrator.memo.store import Store, ValueRefused


def read_sources(store: Store, tenant: str, names: Iterable[str]) -> Mapping[str, Source]:
    """The sources among ``names`` that have a readable record.

    Raises:
        StoreFault: If the store cannot be read.
    """
    wanted = tuple(names)
    try:
        records = store.sources([_record_name(tenant, name) for name in wanted])
    except ValueRefused:
        return {}
    found = ((name, _decode(record)) for name, record in zip(wanted, records, strict=True))
    return {name: source for name, source in found if source is not None}


def ensure_sources(
    store: Store, tenant: str, names: Iterable[str], clock: Clock
) -> Mapping[str, Source]:
    """The same, after giving a first version to each that has none.

    Raises:
        StoreFault: If the store cannot be read or written.
    """
    wanted = tuple(names)
    found = dict(read_sources(store, tenant, wanted))
    for name in wanted:
        if name not in found:
            fresh = Source(_new_version(), clock.now().timestamp())
            kept = _decode(store.add_source(_record_name(tenant, name), _encode(fresh)))
            if kept is None:  # what is there cannot be read: begin anew
                store.set_source(_record_name(tenant, name), _encode(fresh))
            found[name] = kept or fresh
    return found


def touch_source(
    store: Store, tenant: str, name: str, *, version: str | None, clock: Clock
) -> Source:
    """Record that a source changed; what was made from another version of it is stale from now on.

    Args:
        store: Where.
        tenant: Whose source.
        name: The source.
        version: Its new version; the one it has already changes nothing. ``None``: a new one.
        clock: The time.

    Raises:
        StoreFault: If the store cannot be read or written.
    """
    present = read_sources(store, tenant, [name]).get(name)
    if present is not None and present.version == version:
        return present
    source = Source(version or _new_version(), clock.now().timestamp())
    store.set_source(_record_name(tenant, name), _encode(source))
    return source


def _record_name(tenant: str, name: str) -> str:
    return orjson.dumps([tenant, name]).decode()


def _new_version() -> str:
    return f"unnamed-{secrets.token_hex(8)}"


def _encode(source: Source) -> bytes:
    return orjson.dumps([source.version, source.since_s])


def _decode(record: bytes | None) -> Source | None:
    if record is None:
        return None
    try:
        version, since_s = orjson.loads(record)
    except ValueError:
        return None
    if not isinstance(version, str) or not isinstance(since_s, float):
        return None
    return Source(version, since_s)
