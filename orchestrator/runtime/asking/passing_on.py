"""A question of a task inside a task: the outer one asks it, and passes the answer on.

A person knows the task that was started, not those that it started. So the question of a task in
another ends the node that waits for it, as an interrupt of the outer graph. Its id is the inner
task's and its own, and so the way that the answer takes, at whatever depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.core.halt import Halt, Halted
from orchestrator.core.money import Money
from orchestrator.runtime.run import arguments
from orchestrator.runtime.run.nesting import canonical
from orchestrator.runtime.run.request import digest
from orchestrator.runtime.spending.granting import question_id

if TYPE_CHECKING:
    from orchestrator.ledger.records import TaskRecord
    from orchestrator.runtime.run.results import TaskResult
    from orchestrator.runtime.run.task_run import TaskRun

_WITHIN = "/"  # no id of a task or of a question has it


def ask_for(inner: TaskResult, outer: TaskRun) -> Halted:
    """Let the node that waits for ``inner`` end with its questions; raise what this returns.

    Nothing is latched: what else the outer graph can do, it does.
    """
    place = outer.places.here()
    for one, question in inner.questions.items():
        place.ask(f"{inner.task_id}{_WITHIN}{one}", question)
    step = None if inner.halt is None else inner.halt.step
    detail = f"Task {inner.task_id} inside this one waits for an answer."
    return Halted(Halt(reason="question", scope="task", step=step, detail=detail))


def asker(asked: Any) -> str | None:
    """The task inside this one whose question an interrupt is; ``None``: none's."""
    task_id, within, _ = asked.id.partition(_WITHIN)
    return task_id if within else None


class Told(NamedTuple):
    """An answer on its way to a task inside.

    Attributes:
        answer: What was said.
        to: The mark of the question it was said to.
    """

    answer: Any
    to: str


def mark(question: Any) -> str:
    """Tells a question from the next one, which may have the same id."""
    return digest([question], canonical)


def has_answers(outer: TaskRun, task_id: str) -> bool:
    """Whether something was answered to a task inside ``outer``."""
    return any(key.startswith(f"{task_id}{_WITHIN}") for key in outer.answers)


def passed_on(outer: TaskRun, inner: TaskRecord, asked: Iterable[Any]) -> tuple[Any, Money]:
    """What was answered to a task inside ``outer``, which has it from now on, and money for it.

    A task may ask twice under one id, so no answer is given twice. And it may have been given this
    one before, if the process died until ``outer`` knew of it: then it asks something else by now,
    or it runs with the money it was granted.

    Args:
        outer: The task that was resumed with answers.
        inner: The task inside it.
        asked: What that one asks now.
    """
    way = f"{inner.opening.scope.task_id}{_WITHIN}"
    told = {
        key.removeprefix(way): outer.answers.pop(key)
        for key in tuple(outer.answers)
        if key.startswith(way)
    }
    answers = {
        one.id: told[one.id].answer
        for one in asked
        if one.id in told and told[one.id].to == mark(one.value)
    }
    granted = answers.pop(question_id(inner.opening.scope.task_id), None)
    if granted is None or inner.status != "halted":
        return answers or None, Money.ZERO
    return answers or None, arguments.granted(None, granted)
