"""``budgets:`` of a policy file."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

from orchestrator.budgets.rules import Threshold, WindowKind
from orchestrator.policy.amounts import NOTHING, Amount
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.forms import (
    DAY,
    MONEY,
    PROBABILITY,
    RESERVE,
    TASK_THRESHOLDS,
    THRESHOLDS,
    ZONE,
    words,
)


class TaskBudgetDocument(Document):
    """``budgets.task``: what one task may spend over all its resumes."""

    limit: Annotated[Amount | None, MONEY] = key("The amount. Required.")
    finish_reserve: Annotated[Amount, RESERVE] = key(
        "The part that only a step asked with `finish=True` may draw on; below `limit`.",
        default=NOTHING,
        shown="0 USD",
        example="0.02 USD",
    )
    at: Annotated[tuple[Threshold, ...], TASK_THRESHOLDS] = key(
        "What happens once a share of it is spent: `economize`, `notify`, `pause-low-priority`,"
        " `halt`, or at `100%` `ask`; see the page on budgets.",
        default=(),
    )

    likely_finish: Annotated[float | None, PROBABILITY] = key(
        "A step starts only if this share of the agent's completed tasks needed no more from there"
        " on than is left; without it that is not looked at."
    )

    main: ClassVar[str] = "limit"
    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("per", "timezone", "rate_of"), "a task's budget has no window; remove the key"
    )


class BudgetDocument(Document):
    """``budgets.org``, ``team``, ``agent`` and ``user``: each holder has the amount for itself."""

    limit: Annotated[Amount | None, MONEY] = key("The amount. Required.", example="20 USD")
    per: Annotated[WindowKind, words("hour", "day", "week", "month", "total")] = key(
        "The window, by the calendar: weeks begin on Monday. `total` never ends.",
        default="total",
        shown="total",
        example="day",
    )
    timezone: Annotated[str, ZONE] = key(
        "The time zone in which windows begin.", default="UTC", shown="UTC"
    )
    rate_of: Annotated[date | None, DAY] = key(
        "For a limit in another currency: the day whose rate holds for all windows, and not that of"
        " the day on which each begins. `per: total`, which never begins, needs it."
    )
    at: Annotated[tuple[Threshold, ...], THRESHOLDS] = key(
        "What happens once a share of it is spent: `economize`, `notify`, `pause-low-priority` or"
        " `halt`; see the page on budgets.",
        default=(),
    )

    main: ClassVar[str] = "limit"
    hints: ClassVar[dict[str, str]] = {
        "finish_reserve": "only `budgets.task` has one; move it there"
    }


class BudgetsDocument(Document):
    """``budgets:``; a scope that is not named has none."""

    org: BudgetDocument | None = key("All teams of the organisation together.")
    team: BudgetDocument | None = key("All agents of the team together.")
    agent: BudgetDocument | None = key("All tasks of one agent together.")
    user: BudgetDocument | None = key("All tasks for one user of the team together.")
    task: TaskBudgetDocument | None = key("One task, over all its resumes.")

    hints: ClassVar[dict[str, str]] = {
        "limit": "an amount belongs to a scope; write `task: {limit: 0.25 USD}`"
    }
