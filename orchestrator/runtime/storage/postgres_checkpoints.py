"""Checkpoints in the database of a ledger on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.sealing import Seal
from orchestrator.ledger.stores.postgres_connection import Place, place_from_url
from orchestrator.runtime.storage.encryption import sealing

MAX_CONNECTIONS = 8
OPEN_TIMEOUT_S = 10.0
SETUP_PAUSE_S = 0.05


@asynccontextmanager
async def open_saver(url: str, seal: Seal) -> AsyncIterator[AsyncPostgresSaver]:
    """Open the checkpoints in the schema of the ledger at ``url``, which must be open.

    Raises:
        LedgerUnavailable: If the database cannot be reached.
    """
    place = place_from_url(url)

    async def configure(connection: AsyncConnection[DictRow]) -> None:
        await connection.execute(
            # A checkpoint lost to a power cut costs time, never money.
            "SELECT set_config('search_path', %s, false),"
            " set_config('synchronous_commit', 'off', false)",
            (place.search_path,),
        )

    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        place.conninfo,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row},
        configure=configure,
        # One that the server has cut off is found out here, not by a checkpoint.
        check=AsyncConnectionPool.check_connection,
        min_size=1,
        max_size=MAX_CONNECTIONS,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=OPEN_TIMEOUT_S)
        saver = _SealingSaver(pool) if seal.is_set else AsyncPostgresSaver(pool)
        saver.serde = sealing(saver.serde, seal)
        await _set_up(pool, saver, place)
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        message = f"the checkpoints cannot be opened in the ledger's database: {error}"
        raise LedgerUnavailable(message) from error
    try:
        yield saver
    finally:
        await pool.close()


@dataclass(frozen=True, slots=True)
class _Hidden:
    """A value that shall not stand in a checkpoint's JSON."""

    value: Any


class _SealingSaver(AsyncPostgresSaver):
    """LangGraph's saver writes texts and numbers of the state into JSON, past the serializer."""

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint, every value of it through the serializer."""
        values = {
            name: _Hidden(value) if isinstance(value, str | int | float) else value
            for name, value in checkpoint["channel_values"].items()
        }
        # Also those that did not change, which a saver without a key may have left in the JSON.
        versions = checkpoint["channel_versions"]
        hidden = {name: versions[name] for name in values if name in versions}
        sealed = checkpoint.copy()
        sealed["channel_values"] = values
        return await super().aput(config, sealed, metadata, {**hidden, **new_versions})

    def _dump_blobs(
        self, thread_id: str, checkpoint_ns: str, values: dict[str, Any], versions: ChannelVersions
    ) -> Any:
        shown = {
            name: value.value if isinstance(value, _Hidden) else value
            for name, value in values.items()
        }
        return super()._dump_blobs(thread_id, checkpoint_ns, shown, versions)


async def _set_up(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]], saver: AsyncPostgresSaver, place: Place
) -> None:
    """Make the tables, one process at a time.

    Some indexes are made concurrently, which waits for every open statement: one that waited for
    the lock would never end. So it is tried again and again, never waited for.
    """
    async with pool.connection() as connection:
        if await _is_set_up(connection, saver):
            return
        lock = place.lock ^ 1  # not the ledger's own, which its writers take all the time
        lock_now: LiteralString = "SELECT pg_try_advisory_lock(%s) AS answer"
        # The database has no event to await.
        while not await _answer(connection, lock_now, lock):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(SETUP_PAUSE_S)
        try:
            await saver.setup()
        finally:
            await _answer(connection, "SELECT pg_advisory_unlock(%s) AS answer", lock)


async def _is_set_up(connection: AsyncConnection[DictRow], saver: AsyncPostgresSaver) -> bool:
    if await _answer(connection, "SELECT to_regclass('checkpoint_migrations') AS answer") is None:
        return False
    newest = await _answer(connection, "SELECT max(v) AS answer FROM checkpoint_migrations")
    return newest is not None and newest >= len(saver.MIGRATIONS) - 1


async def _answer(
    connection: AsyncConnection[DictRow], statement: LiteralString, *values: object
) -> Any:
    row = await (await connection.execute(statement, values)).fetchone()
    return None if row is None else row["answer"]
