"""What routing learns from: kept beside the facts about money, per tenant, and never a body.

A lesson is a fact like any other: what was known when a reply was judged, what came of it, or why
a model was chosen. What is believed because of them is nowhere stored; it is folded from them anew
in every process, so that the same log always teaches the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

LessonKind = Literal["observation", "outcome", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One thing to learn from.

    Attributes:
        tenant: Who may learn from it; nobody else does.
        kind: An ``observation`` (a reply as it was judged), its ``outcome``, or a ``choice`` (why
            models were asked; for explanation only).
        task_id: The task.
        step: The step that asked.
        subject: The attempt it is about; for a choice the journal key of the ask.
        body: Numbers, names and flags; never what was said.
        at: When.
        words: Of an observation, what was asked as hashed words. They are no fact and stand apart
            from it: they go when their user is forgotten.
        seq: Its place in the log; 0 until it is stored.
    """

    tenant: str
    kind: LessonKind
    task_id: str
    step: str
    subject: str
    body: Mapping[str, Any]
    at: datetime
    words: Mapping[int, float] = field(default_factory=dict)
    seq: int = 0
