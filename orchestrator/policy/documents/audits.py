"""``audits:`` of a policy file."""

from __future__ import annotations

from typing import Annotated, ClassVar

from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.documents.budgets import BudgetDocument
from orchestrator.policy.forms import PROBABILITY


class AuditsDocument(Document):
    """``audits:``: how often another model is asked the same, to learn what a reply was worth."""

    rate: Annotated[float, PROBABILITY] = key(
        "The share of replies that are drawn at random; five times as many after an alarm.",
        default=0.0,
        shown="0",
        example="0.05",
    )
    budget: BudgetDocument | None = key(
        "What the audits of each agent may cost; without it none is made. It counts on the budgets"
        " of org, team and agent too, never on a task's."
    )

    may_be_off: ClassVar[bool] = True
    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("limit", "per", "timezone"), "unknown key here; move it under `budget:`"
    )
