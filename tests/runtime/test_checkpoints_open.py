"""Several processes that open the checkpoints of one ledger at once."""

import asyncio
import sqlite3

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from orchestrator.runtime.storage import checkpoints
from orchestrator.runtime.storage.encryption import seal_from_environment


async def test_who_finds_the_file_locked_while_it_is_made_waits_for_it(tmp_path, monkeypatch):
    setup, refused = AsyncSqliteSaver.setup, []

    async def locked_at_first(saver):
        if len(refused) < 3:
            with sqlite3.connect(tmp_path / "other.db") as other:
                other.execute("BEGIN EXCLUSIVE")
                try:
                    sqlite3.connect(tmp_path / "other.db", timeout=0).execute("CREATE TABLE t (x)")
                except sqlite3.OperationalError as error:
                    refused.append(error)
                    raise
        await setup(saver)

    monkeypatch.setattr(AsyncSqliteSaver, "setup", locked_at_first)
    async with checkpoints.open_checkpoints(
        f"sqlite:///{tmp_path / 'ledger.db'}", seal_from_environment()
    ) as saver:
        assert await saver.aget_tuple({"configurable": {"thread_id": "t"}}) is None
    assert len(refused) == 3


async def test_many_open_it_at_once(tmp_path):
    async def open_it():
        store = f"sqlite:///{tmp_path / 'ledger.db'}"
        async with checkpoints.open_checkpoints(store, seal_from_environment()):
            await asyncio.sleep(0)

    await asyncio.gather(*(open_it() for _ in range(12)))
