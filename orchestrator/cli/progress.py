"""The bar that shows how many tasks have ended and what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from orchestrator.bench.suite import Sample
from orchestrator.core.money import Money
from orchestrator.runtime.run.results import TaskResult


class TaskBar:
    """A bar on standard error, one step for each task."""

    def __init__(self, progress: Progress, bar: TaskID) -> None:
        """Draw into ``progress``."""
        self._progress = progress
        self._bar = bar
        self._spent = Money.ZERO

    def start(self, tasks: int, title: str | None = None) -> None:
        """There will be so many, from here on; ``title`` renames the bar."""
        self._progress.update(self._bar, total=tasks, completed=0, description=title)

    def advance(self, _: Sample, result: TaskResult) -> None:
        """One has ended."""
        self._spent += result.cost.total
        self._progress.update(self._bar, advance=1, spent=str(self._spent))


@contextmanager
def task_bar(title: str, *, quiet: bool) -> Iterator[TaskBar]:
    """Show a bar while the block runs; ``quiet``: show nothing."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks, spent {task.fields[spent]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as progress:
        yield TaskBar(progress, progress.add_task(title, total=None, spent=str(Money.ZERO)))
