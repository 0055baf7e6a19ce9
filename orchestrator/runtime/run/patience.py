"""While the ledger's store is away: nothing is spent, nothing is lost, and the task waits.

What is in flight keeps its end in memory, one each, and no attempt starts meanwhile: so that is
bounded. It is written once the store is back.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from orchestrator.core.errors import Fenced, LedgerClosed, LedgerUnavailable
from orchestrator.core.events import LedgerAway
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.records import AttemptEnd, TaskClosing
from orchestrator.ledger.refusals import AlreadyEnded

if TYPE_CHECKING:
    from orchestrator.runtime.run.places import Place
    from orchestrator.runtime.run.task_run import TaskRun

T = TypeVar("T")

AWAY_FOR_S = 300.0
"""How long a store is waited for at most; a task that has less time left waits only that long."""
PAUSES_S = (0.05, 2.0)
"""First and longest pause between two tries."""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


async def patiently(
    run: TaskRun, work: Callable[[], Awaitable[T]], *, place: Place | None = None
) -> T:
    """Do ``work``, again while the store is away.

    Args:
        run: The task.
        work: What is to be done.
        place: The node for which it is done before anything is asked: a halt ends the wait and
            refuses the node. ``None``: it has to be done whether or not the task halts.

    Raises:
        Halted: If the task halts while the store is away.
        LedgerUnavailable: If it stays away, or the ledger was closed.
    """
    started, pause_s = run.clock.monotonic(), PAUSES_S[0]
    while True:
        try:
            return await work()
        except Exception as error:
            if not is_away(error) or run.clock.monotonic() - started >= AWAY_FOR_S:
                raise
            if pause_s == PAUSES_S[0]:
                run.emit(LedgerAway(at=run.clock.now(), scope=run.scope, error=str(error)))
        pause = pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if place is None:
            await run.clock.sleep(pause)
        else:
            await run.halting.sleep(run.clock, pause)
            if run.halt is not None:
                raise run.refuse(run.halt, place)
        pause_s = min(pause_s * 2, PAUSES_S[1])


async def close_patiently(run: TaskRun, closing: TaskClosing) -> None:
    """Record how a run returned, whenever that can be; the store may have done so unheard.

    Raises:
        Fenced: If the task has another owner.
        LedgerUnavailable: If the store stays away: the task can be resumed once it is back.
    """
    is_first = True

    async def work() -> None:
        nonlocal is_first
        first, is_first = is_first, False
        try:
            await run.ledger.close_task(closing)
        except Fenced:
            record = None if first else await run.ledger.task(closing.task_id)
            if record is None or (record.epoch, record.status) != (closing.epoch, closing.status):
                raise

    await patiently(run, work)


def is_away(error: Exception) -> bool:
    """Whether a store, the ledger's or that of the checkpoints, may be back later."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in _PASSING
    # A driver that was never loaded raised nothing.
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.OperationalError):
        return True
    return isinstance(error, LedgerUnavailable) and not isinstance(error, LedgerClosed)


async def end_patiently(run: TaskRun, end: AttemptEnd) -> None:
    """Record how an attempt ended, whenever that can be.

    The store may have recorded it although the answer was lost. Or another process took the owner
    for dead meanwhile: then the doubt is resolved at once by who knows.

    Raises:
        AlreadyEnded: If it was ended by somebody else before the first try.
        LedgerUnavailable: If the store stays away: the attempt will be in doubt.
    """
    is_first = True

    async def work() -> None:
        nonlocal is_first
        first, is_first = is_first, False
        try:
            await run.ledger.end(end)
        except AlreadyEnded:
            if first:
                raise
            doubts = await run.ledger.in_doubt(run.scope.task_id)
            if any(one.intent.attempt_id == end.attempt_id for one in doubts):
                await run.ledger.correct(
                    Correction(
                        attempt_id=end.attempt_id,
                        cost=end.cost + end.overrun,
                        certainty="known" if end.certainty == "known" else "estimated",
                        source="its owner, once the ledger was back",
                        at=end.at,
                    )
                )

    await patiently(run, work)
