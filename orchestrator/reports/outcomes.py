"""What came of replies, who says so, and what their checks turned out to be worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.routing.learning.knowledge import Knowledge
from orchestrator.routing.learning.observation import Observation, Outcome, Source
from orchestrator.routing.learning.step import StepKnowledge
from orchestrator.routing.learning.trust import SIGNS, Told, said_by_checks

_WHO: Mapping[Source, str] = MappingProxyType(
    {
        "check": "its tests",
        "user": "the user",
        "person": "the person who was asked",
        "audit": "an audit",
        "tool": "the tools it called",
        "judge": "the judge",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStatus:
    """What a check of a step turned out to be worth.

    Attributes:
        name: The check; ``tool`` is whether the tools that a reply called worked.
        replies: Replies of the step that it judged and whose outcome is known.
        passes_right: The share of right replies that it passes, drawn to what it did elsewhere.
        passes_wrong: The share of wrong replies that it passes, likewise.
    """

    name: str
    replies: int
    passes_right: float
    passes_wrong: float


def checks_of(knowledge: Knowledge, step: str) -> tuple[CheckStatus, ...]:
    """The checks of a step by name, those without any outcome left out."""
    names = sorted(name for of, name in knowledge.checks.here if of == step)
    found = knowledge.checks.records(step, names)
    return tuple(
        CheckStatus(
            name=name,
            replies=knowledge.checks.here[step, name].replies,
            passes_right=found[name].passes_good,
            passes_wrong=found[name].passes_bad,
        )
        for name in names
    )


def sources_of(knowledge: Knowledge, step: StepKnowledge) -> dict[str, int]:
    """Who told the outcomes that a step's confidence is fitted to, and how many each."""
    lessons = (knowledge.told[one].lesson for one in step.labels if one in knowledge.told)
    return dict(Counter(one.source for one in lessons if one is not None).most_common())


def came_of(reply: Observation, outcomes: Iterable[Outcome]) -> str:
    """What came of a reply in words, the word that counts first; empty: nothing was said."""
    told = Told()
    for one in (said_by_checks(reply), *outcomes):
        if one is not None and one.attempt_id == reply.attempt_id:
            told.hear(one.source, one)
    if (lesson := told.lesson) is None:
        return ""
    others = [_said(one) for one in told.words.values() if one is not lesson]
    beside = f"; {', '.join(others)}: that counts less" if others else ""
    return f"What came of it: {_said(lesson)}{' (a sign)' * (lesson.source in SIGNS)}{beside}."


def _said(outcome: Outcome) -> str:
    words = ("failing", "working") if outcome.source == "tool" else ("wrong", "right")
    said = words[int(outcome.score)] if outcome.score in {0, 1} else f"{outcome.score:g}"
    share = f" (weight {outcome.weight:g})" * (outcome.source not in SIGNS and outcome.weight != 1)
    return f"{said} by {_WHO[outcome.source]}{share}"
