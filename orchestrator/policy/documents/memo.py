"""``memo:`` of a policy file: the memo as a whole; what a step remembers is said there."""

from __future__ import annotations

from typing import Annotated, ClassVar

from orchestrator.memo.settings import DEFAULT_MAX_AGE_S, DEFAULT_SIZE_LIMIT_BYTES
from orchestrator.policy.documents.base import Document, key
from orchestrator.policy.documents.budgets import BudgetDocument
from orchestrator.policy.forms import DURATION, PROBABILITY, SIZE


class AgentMemoDocument(Document):
    """``memo:`` of an agent: what may be spent on asking anew, in the background."""

    upkeep: BudgetDocument | None = key(
        "What each agent may spend on asking stale entries anew (`stale_for`) and on `sample`;"
        " without it neither is done. It counts on the other budgets too."
    )
    sample: Annotated[float, PROBABILITY] = key(
        "The share of fresh hits that are asked anew to measure how many no longer hold.",
        default=0.0,
        shown="0",
        example="0.01",
    )

    may_be_off: ClassVar[bool] = True
    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("size", "max_age"), "is not for one agent: all share one store; move it to the top"
        ),
        **dict.fromkeys(
            ("fresh_for", "stale_for", "stale_if_error", "share", "reads", "labels"),
            "belongs to a step; write `steps: {plan: {memo: {fresh_for: 1h}}}`",
        ),
    }


class MemoHomeDocument(AgentMemoDocument):
    """``memo:`` at the top of a policy file."""

    size: Annotated[int, SIZE] = key(
        "What it may take on disk; what is asked for least goes first. A Redis has its own limit.",
        default=DEFAULT_SIZE_LIMIT_BYTES,
        shown="1 GiB",
        example="200 MB",
    )
    max_age: Annotated[float, DURATION] = key(
        "How long an entry is kept, whatever its step says.",
        default=DEFAULT_MAX_AGE_S,
        shown="30d",
        example="7d",
    )

    hints: ClassVar[dict[str, str]] = {
        name: hint
        for name, hint in AgentMemoDocument.hints.items()
        if name not in {"size", "max_age"}
    } | {"store": "unknown key; write `memo_store: redis://127.0.0.1:6379/0` beside `memo`"}
