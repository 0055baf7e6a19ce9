"""Checkpoints beside the ledger, written only by the task's present owner."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.memory import InMemorySaver
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from orchestrator.core.errors import Fenced
from orchestrator.core.redaction import keep_details_unlogged
from orchestrator.core.sealing import Seal
from orchestrator.ledger.factory import is_postgres, sqlite_path
from orchestrator.runtime.storage.encryption import sealing

Saver = BaseCheckpointSaver[Any]
LOCKED_FOR_S = 30.0
CHECKPOINTS = "checkpoints.db"
"""The file's name, beside the ledger."""
Owns = Callable[[], Awaitable[bool]]
Patiently = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


async def at_once(work: Callable[[], Awaitable[Any]]) -> Any:
    """Do ``work``, without waiting for anything."""
    return await work()


@asynccontextmanager
async def open_checkpoints(store: str, seal: Seal) -> AsyncIterator[Saver]:
    """Open the checkpoints that belong to the ledger at the URL ``store``, sealed by ``seal``.

    On PostgreSQL they lie in the ledger's schema, so that any machine can resume; with SQLite in a
    file beside it; with a ledger in memory, there too.

    The journal, not the checkpoint, is what prevents paying twice, so a checkpoint lost to a
    power cut costs time, never money: commits do not wait for the disk.

    Raises:
        LedgerUnavailable: If the database cannot be reached.
    """
    path = sqlite_path(store)
    if path is not None:
        async with _in_file(path.parent) as saver:
            saver.serde = sealing(saver.serde, seal)
            yield saver
    elif is_postgres(store):
        from orchestrator.runtime.storage.postgres_checkpoints import (  # noqa: PLC0415 - an extra
            open_saver,
        )

        async with open_saver(store, seal) as saver:
            yield saver
    else:
        yield InMemorySaver()


@asynccontextmanager
async def _in_file(directory: Path) -> AsyncIterator[Saver]:
    import aiosqlite  # noqa: PLC0415 - a database driver, loaded only once something runs
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415 - the same

    from orchestrator.ledger.stores.sqlite import is_busy  # noqa: PLC0415 - the same

    keep_details_unlogged("aiosqlite")
    async with aiosqlite.connect(_private_file(directory)) as connection:
        await connection.execute("PRAGMA busy_timeout = 30000")
        saver = AsyncSqliteSaver(connection)
        # Changing the journal's mode does not wait for a process that does the same just now.
        await AsyncRetrying(
            retry=retry_if_exception(is_busy),
            stop=stop_after_delay(LOCKED_FOR_S),
            wait=wait_random_exponential(multiplier=0.01, max=0.2),
            reraise=True,
        )(saver.setup)
        await connection.execute("PRAGMA synchronous = NORMAL")
        yield saver


def _private_file(directory: Path) -> str:
    """The checkpoints' file, made so that only its owner can read it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / CHECKPOINTS
    path.touch(mode=0o600)
    return os.fspath(path)


class FencedSaver(BaseCheckpointSaver[Any]):
    """Another saver, for one run of one task: it writes only while that run owns the task.

    What a deadline left behind, or an owner that was taken over, finds its results dropped.
    """

    def __init__(self, saver: Saver, owns: Owns, patiently: Patiently = at_once) -> None:
        """Write through ``saver`` while ``owns()`` says so; ``patiently`` waits for its store."""
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._owns = owns
        self._patiently = patiently

    def with_allowlist(self, extra_allowlist: Any) -> FencedSaver:
        """Allow more types to be read; LangGraph passes those of the graph's state."""
        return FencedSaver(self._saver.with_allowlist(extra_allowlist), self._owns, self._patiently)

    @property
    def config_specs(self) -> list[Any]:
        """As the wrapped saver's."""
        return list(self._saver.config_specs)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """As the wrapped saver's."""
        return self._saver.get_next_version(current, channel)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As the wrapped saver's."""
        return await self._saver.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As the wrapped saver's."""
        async for found in self._saver.alist(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint.

        Raises:
            Fenced: If this run no longer owns the task.
        """
        await self._check()
        written: RunnableConfig = await self._patiently(
            lambda: self._saver.aput(config, checkpoint, metadata, new_versions)
        )
        return written

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Write what one node produced.

        Raises:
            Fenced: If this run no longer owns the task.
        """
        await self._check()
        await self._patiently(lambda: self._saver.aput_writes(config, writes, task_id, task_path))

    async def _check(self) -> None:
        if not await self._patiently(self._owns):
            message = "This run no longer owns the task; its checkpoint is not written."
            raise Fenced(message)
