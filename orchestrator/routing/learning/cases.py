"""Labelled cases: what every one of some models replied to every one of some questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestrator.routing.estimate.fitting import Codes, Matrix


@dataclass(frozen=True, slots=True)
class Cases:
    """Questions by models.

    Attributes:
        models: Names, in the order asked for.
        score: 0 to 1, one row per question, one column per model.
        cost: USD of each reply.
        prompts: The question, empty where unknown.
        replies: The text of each reply, empty where unknown.
        classes: The class of each question, as a number.
        groups: What those numbers stand for.
    """

    models: tuple[str, ...]
    score: Matrix
    cost: Matrix
    prompts: tuple[str, ...]
    replies: tuple[tuple[str, ...], ...]
    classes: Codes
    groups: tuple[str, ...]

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.prompts)


CasesT = TypeVar("CasesT", bound=Cases)


def select(cases: CasesT, models: Sequence[int]) -> CasesT:
    """The cases with only these models, in this order."""
    order = list(models)
    return replace(
        cases,
        models=tuple(cases.models[m] for m in order),
        score=cases.score[:, order],
        cost=cases.cost[:, order],
        replies=tuple(tuple(replies[m] for m in order) for replies in cases.replies),
    )
