"""Where a process can be told to die, as by ``kill -9``: the n-th time it reaches a named point.

Each point lies just before or just after something that must not be half done.
"""

import itertools
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from orchestrator.ledger.stores.sqlite import SqliteStore
from orchestrator.models.litellm_client import LiteLLMClient

COMMITS = {
    "opening": "insert_task",
    "intent": "intents",
    "settlement": "ends",
    "reply": "replies",
    "decision": "decisions",
    "closing": "update_task",
}
"""What a commit contains, by the method of a store or the part of its changes that brings it."""
CALLS = {"request": "ask", "checkpoint": "aput", "writes": "aput_writes"}
POINTS = [f"{when} the {what}" for what in (*COMMITS, *CALLS) for when in ("before", "after")]


def _die_at(count: int) -> Callable[[], None]:
    numbers = itertools.count(1)

    def reach() -> None:
        if next(numbers) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


def arm(point: str, count: int) -> None:
    """Let this process die the ``count``-th time it reaches ``point``."""
    when, what = point.split(" the ")
    reach = _die_at(count)
    stores, savers = [SqliteStore], [AsyncSqliteSaver]
    if find_spec("psycopg") is not None:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415 - an extra

        from orchestrator.ledger.stores.postgres import PostgresStore  # noqa: PLC0415 - an extra

        stores.append(PostgresStore)
        savers.append(AsyncPostgresSaver)
    if what in COMMITS:
        for store in stores:
            _at_commit(store, COMMITS[what], when, reach)
    else:
        for owner in [LiteLLMClient] if what == "request" else savers:
            _around(owner, CALLS[what], when, reach)


def _at_commit(store: type[Any], sign: str, when: str, reach: Callable[[], None]) -> None:
    """At the commits of transactions that contain what ``sign`` says."""
    commit, begin, brings = store.commit, store.begin, getattr(store, sign, None)
    write = store.write
    contains: list[str] = []

    def begin_empty(self: Any, *, write: bool) -> None:
        contains.clear()
        begin(self, write=write)

    def note_changes(self: Any, changes: Any) -> None:
        if brings is None and getattr(changes, sign):
            contains.append(sign)
        write(self, changes)

    def note_call(self: Any, *arguments: Any) -> None:
        contains.append(sign)
        brings(self, *arguments)

    def commit_and_die(self: Any) -> None:
        if when == "before" and contains:
            reach()
        commit(self)
        if when == "after" and contains:
            reach()

    store.begin, store.write, store.commit = begin_empty, note_changes, commit_and_die
    if brings is not None:
        setattr(store, sign, note_call)


def _around(owner: type[Any], name: str, when: str, reach: Callable[[], None]) -> None:
    """Before or after a call."""
    call = getattr(owner, name)

    async def call_and_die(self: Any, *arguments: Any, **named: Any) -> Any:
        if when == "before":
            reach()
        answer = await call(self, *arguments, **named)
        if when == "after":
            reach()
        return answer

    setattr(owner, name, call_and_die)
