"""Erasing a user from the ledger's bodies and from the checkpoints, outside of any task."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.core.clock import SystemClock
from orchestrator.core.sealing import Seal
from orchestrator.ledger.factory import ledger_from_url, sqlite_path
from orchestrator.ledger.records import Forgotten
from orchestrator.runtime.storage.checkpoints import CHECKPOINTS, open_checkpoints

_PATIENCE_S = 30.0


class _Unread:
    """Reads nothing: what is erased need not be understood, nor its key be known."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Refuse: nothing is written while something is erased."""
        message = f"erasing writes no checkpoint, but was given a {type(obj).__name__}"
        raise TypeError(message)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Nothing."""
        del data
        return {}


@dataclass(frozen=True, slots=True)
class Erased:
    """What went.

    Attributes:
        ledger: Of the ledger.
        checkpoints: Tasks whose checkpoints were there, and went.
    """

    ledger: Forgotten
    checkpoints: int


async def forget(store: str, user: str, *, tenant: str | None = None) -> Erased:
    """Erase what a user's tasks asked, were answered and had in their state.

    What they cost stays. A task that runs may write more: stop it first.

    Args:
        store: URL of the ledger.
        user: The user.
        tenant: Only in this tenant; ``None``: in all.

    Raises:
        LedgerUnavailable: If the store cannot be opened.
    """
    path = sqlite_path(store)
    if path is not None and not path.exists():
        return Erased(Forgotten(tasks=(), running=(), bodies=0), 0)
    ledger = ledger_from_url(store, clock=SystemClock())
    await ledger.open()
    try:
        gone = await ledger.forget(user, tenant=tenant)
    finally:
        await ledger.aclose()
    if path is not None and not (path.parent / CHECKPOINTS).exists():
        return Erased(gone, 0)
    count = 0
    async with open_checkpoints(store, Seal()) as saver:
        saver.serde = _Unread()
        for task_id in gone.tasks:
            here: RunnableConfig = {"configurable": {"thread_id": task_id}}
            if await anext(aiter(saver.alist(here, limit=1)), None) is not None:
                count += 1
                await saver.adelete_thread(task_id)
    if path is not None:
        with closing(sqlite3.connect(path.parent / CHECKPOINTS, timeout=_PATIENCE_S)) as db:
            # Written anew without what was erased, now or earlier, which would else lie in free
            # pages.
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Erased(gone, count)
