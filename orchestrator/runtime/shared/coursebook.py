"""How an agent's tasks went, read once for each run that has to choose within a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from orchestrator.ledger.courses import Spent
from orchestrator.routing.learning.courses import Courses


@dataclass(slots=True)
class Page:
    """What one run knows of how such tasks went: all of it goes by the same.

    Attributes:
        courses: How they went.
        asked: The keys of its own asks so far, by step.
    """

    courses: Courses
    asked: dict[str, set[str]] = field(default_factory=dict)


class Coursebook:
    """Keeps a page for each run, as long as the run is there."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._pages: WeakKeyDictionary[object, Page] = WeakKeyDictionary()

    async def page(self, run: object, read: Callable[[], Awaitable[Sequence[Spent]]]) -> Page:
        """The page of a run; ``read`` gives what its courses are made of, if it has none yet.

        Raises:
            LedgerUnavailable: If that cannot be read.
        """
        if run not in self._pages:
            spent = await read()
            self._pages.setdefault(run, Page(Courses.of(spent)))
        return self._pages[run]
