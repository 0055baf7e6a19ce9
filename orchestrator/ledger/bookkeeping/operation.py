"""One thing asked of a ledger, on its way to the writer's thread and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal

from orchestrator.core.errors import Fenced, TaskExists, TaskNotFound
from orchestrator.ledger.bookkeeping.unit import UnitOfWork
from orchestrator.ledger.refusals import AlreadyEnded, BudgetShort, TaskSignalled
from orchestrator.ledger.stores.rows import Wanted

REFUSALS = (
    AlreadyEnded,
    BudgetShort,
    Fenced,
    TaskExists,
    TaskNotFound,
    TaskSignalled,
    ValueError,
)
"""What the rules answer; anything else that is raised is a failure of the store."""

Urgency = Literal["now", "read", "note"]


class Answer:
    """Where an answer is awaited: a future, and the event loop it belongs to."""

    __slots__ = ("future", "loop")

    def __init__(self) -> None:
        """Must be made where the answer will be awaited."""
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[object] = self.loop.create_future()


class Operation:
    """What to do inside a transaction, and who waits for its outcome.

    Attributes:
        answer: Who awaits it; ``None`` if nobody does.
        urgency: ``now`` writes, ``read`` does not, ``note`` writes and may travel with others.
        result: What it returned, once it ran.
        error: What it raised, once it ran.
        is_doubtful: Whether a transaction it ran in may be recorded, which nobody could tell.
    """

    __slots__ = (
        "_adds",
        "_holds",
        "_run",
        "_tasks",
        "answer",
        "error",
        "is_doubtful",
        "result",
        "urgency",
    )

    def __init__(
        self,
        answer: Answer | None,
        run: Callable[[UnitOfWork], object] | None = None,
        *,
        urgency: Urgency = "now",
        tasks: tuple[str, ...] = (),
        holds: tuple[str, ...] = (),
        adds: str | None = None,
    ) -> None:
        """Say what to run, and the ids of the tasks and attempts it will need, and may add."""
        self.answer = answer
        self.urgency = urgency
        self.result: object = None
        self.error: Exception | None = None
        self._run = run
        self._tasks = tasks
        self._holds = holds
        self._adds = adds
        self.is_doubtful = False

    def want(self, wanted: Wanted) -> None:
        """Name the rows it will need."""
        wanted.tasks.update(self._tasks)
        wanted.holds.update(self._holds)
        if self.is_doubtful and self._adds is not None:
            wanted.holds.add(self._adds)

    def run(self, unit: UnitOfWork) -> None:
        """Do it, and keep what comes of it; again, if its transaction was undone."""
        self.error = None
        if self.is_doubtful and self._adds is not None and unit.hold(self._adds) is not None:
            return  # it was recorded after all
        try:
            self.result = self._run and self._run(unit)
        except REFUSALS as error:
            self.error = error


def deliver(operations: Iterable[Operation]) -> list[Operation]:
    """Hand outcomes to those who await them, waking each event loop once.

    Returns:
        Those whose event loop is closed, so that nobody will ever hear of it.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[Operation]] = {}
    for operation in operations:
        if operation.answer is not None:
            by_loop.setdefault(operation.answer.loop, []).append(operation)
    unheard: list[Operation] = []
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, group)
        except RuntimeError:
            unheard += group
    return unheard


def _resolve(operations: list[Operation]) -> None:
    for operation in operations:
        answer = operation.answer
        if answer is None or answer.future.done():  # done: its caller was cancelled
            continue
        if operation.error is None:
            answer.future.set_result(operation.result)
        else:
            answer.future.set_exception(operation.error)
