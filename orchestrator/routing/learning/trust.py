"""Whose word counts: of all that was said of a reply, one outcome is what is learned.

Executed tests come before people, people before audits, and all of these before signs: that a
reply's tools worked, or that a judge liked it. A word that a whole task shares says little of each
of its replies and comes after those on the reply itself. Of equals the newest counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.routing.checks import complete, execution, judge
from orchestrator.routing.estimate.counts import Entry, Ladder
from orchestrator.routing.learning.observation import Observation, Outcome, Source

TRUST: Mapping[Source, int] = MappingProxyType(
    {"check": 4, "user": 3, "person": 3, "audit": 2, "tool": 1, "judge": 0}
)
"""The more, the more trusted."""
SIGNS: frozenset[Source] = frozenset({"tool", "judge"})
"""What is evidence of an outcome and none itself: averages begin where it points to, by what it was
worth so far; it never fits a confidence, proves a certificate or raises an alarm."""
SIGN_WEIGHT = 0.3
WHOLE = 0.5
"""From where on a score counts as right, and a weight as that of a whole outcome."""


def is_whole(outcome: Outcome | None) -> bool:
    """Whether an outcome is one of this very reply, and no sign."""
    return outcome is not None and outcome.weight >= WHOLE and outcome.source not in SIGNS


def said_by_checks(reply: Observation) -> Outcome | None:
    """What the checks that a reply went through already say came of it."""
    passed = reply.verdicts
    if execution.NAME in passed:
        score = float(passed[execution.NAME])
        return Outcome(attempt_id=reply.attempt_id, score=score, source="check")
    if judge.NAME in passed:
        score = float(passed[judge.NAME])
        return Outcome(attempt_id=reply.attempt_id, score=score, source="judge", weight=SIGN_WEIGHT)
    return None


@dataclass(slots=True)
class Told:
    """All that was said of one reply, and what was learned of it.

    Attributes:
        words: The newest of each source, the oldest first.
        entered: What the averages took in, and which.
        recorded: What the records of checks took in: the check, whether it passed, and whether the
            reply was right.
    """

    words: dict[str, Outcome] = field(default_factory=dict)
    entered: tuple[Ladder, Entry] | None = None
    recorded: tuple[tuple[str, bool, bool], ...] = ()

    @property
    def lesson(self) -> Outcome | None:
        """The one that counts; `None`: nothing was said."""
        return most_trusted(list(self.words.values()))

    def hear(self, source: str, said: Outcome | None) -> None:
        """Take in what a source says now; `None`: it takes back what it said."""
        before = self.words.pop(source, None)
        if said is None:
            return
        if before is not None and _stays(before, said):
            said = before
        self.words[source] = said

    def evidence(self, reply: Observation) -> tuple[tuple[str, bool, bool], ...]:
        """What the reply's checks and tools said, beside what was right; see `recorded`."""
        lesson = self.lesson
        if lesson is None or not is_whole(lesson):
            return ()
        said = reply.verdicts | {
            each.source: each.score >= WHOLE
            for each in self.words.values()
            if each.source == "tool"
        }
        own = {complete.NAME} | ({execution.NAME} if lesson.source == "check" else set())
        good = lesson.score >= WHOLE
        return tuple((name, passed, good) for name, passed in said.items() if name not in own)


def _stays(before: Outcome, said: Outcome) -> bool:
    """Whether a source's former word is worth more than its new one.

    One on the reply itself is, beside one that a task shares; and of all tools that a reply called,
    the one that failed speaks.
    """
    if said.source == "tool":
        return before.score < said.score
    return before.weight >= WHOLE > said.weight


def most_trusted(words: Sequence[Outcome]) -> Outcome | None:
    """Of what was said, in that order, the outcome that counts."""
    return max(
        reversed(words), key=lambda one: (one.weight >= WHOLE, TRUST[one.source]), default=None
    )
