"""What a task has been given narrows what it may share from then on.

Labels gather per task: those of its asks and tools, those of memo entries that answered it, and how
widely the steps and tools that it used share their own answers (the words of ``share`` are labels
too). Whatever it asks afterwards may be made from any of that, so a memo keeps it for no one else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.runtime.run.task_run import TaskRun

MARK = "labels"


def labels_of(run: TaskRun) -> frozenset[str]:
    """The labels of all that the task, and each around it, was given so far."""
    labels = frozenset(run.journal.labels)
    return labels if run.parent is None else labels | labels_of(run.parent)


def note(run: TaskRun, labels: Iterable[str]) -> None:
    """Note that the task was given something labelled so.

    It is written before what is made from it can be paid for, so a resumed task knows it too; and
    for the tasks around it, to which its result goes.
    """
    given = frozenset(labels)
    for one in _around(run):
        known = one.journal.labels
        for label in () if given <= known else given - known:
            one.ledger.mark(one.scope.task_id, MARK, label)
            one.journal.labels.add(label)


def _around(run: TaskRun) -> Iterator[TaskRun]:
    around: TaskRun | None = run
    while around is not None:
        yield around
        around = around.parent
