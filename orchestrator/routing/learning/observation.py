"""What was known when a reply was judged, and what came of it: numbers and names, never bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from zlib import crc32

from orchestrator.ledger.lessons import Lesson
from orchestrator.routing.estimate.features import read
from orchestrator.routing.signals.hashing import hashed
from orchestrator.routing.signals.text import prompt_signals

Source = Literal["check", "user", "person", "audit", "tool", "judge"]
"""Who told an outcome: executed tests, ``feedback()``, a person whom the task asked, an audit drawn
at random, the tools that the reply called, a judge."""

SHADOW = "audit "
"""How the ask of a reply begins that an audit judged by the one that was taken."""

_BESIDE = frozenset({"attempt_id", "step", "words"})
_READ = 20_000
"""Characters of a prompt or reply that are read: a signal is not worth the time of a whole book."""


class StepKey(NamedTuple):
    """A step of one agent, as it is now: change its models, checks or policy and it is another."""

    agent: str
    step: str
    version: str

    @property
    def path(self) -> tuple[str, ...]:
        """From the widest scope to the narrowest: steps of that name, this agent's, this one."""
        return self.step, self.agent, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A reply as it was judged.

    Attributes:
        attempt_id: The attempt that paid for it.
        ask: Its task and the journal key in it: replies to one ask share them.
        agent: Whose step asked.
        step: The step.
        version: Digest of models, prompt, checks and policy of the step; another is another step.
        action: Who replied: model, most output, effort.
        passed: Whether the reply was complete and no check failed.
        checks: The score of each check that applied.
        failed: Which of them did not pass; `None`: that was not noted yet.
        signals: What prompt and reply showed, as `signals_of` orders it.
        ending: Checksum of the form of its last line.
        taken: Whether it answered the ask.
        agrees: Whether it says the same as the reply that was taken; `None`: it is that reply.
        threshold: The confidence that the step asked for; `None`: none.
        guess: What was believed of the action without any outcome.
        confidence: What was believed of the reply.
        state: What that belief was worth.
        propensity: The probability with which it was asked for, audits below 1.
        audited: Whether it was drawn for an audit, before its outcome was seen.
        words: What was asked, hashed; empty where nothing of it may be kept.
        cost: USD, with its retries and checks.
        seconds: How long it was on the wire, its retries and checks too; 0: not known.
        saved: What the provider's prompt cache took off that cost, USD; below 0 where filling it
            cost more.
        warm: Whether the task had asked the same model shortly before, so that the cache could.
        replied: Whether there was a reply; what was billed without one is noted for its cost.
    """

    attempt_id: str
    ask: str
    agent: str
    step: str
    version: str
    action: str
    passed: bool
    checks: Mapping[str, float] = field(default_factory=dict)
    failed: tuple[str, ...] | None = None
    signals: tuple[float, ...] = ()
    ending: int = 0
    taken: bool = True
    agrees: bool | None = None
    threshold: float | None = None
    guess: float = 0.5
    confidence: float | None = None
    state: str = "uncalibrated"
    propensity: float = 1.0
    audited: bool = False
    words: Mapping[int, float] = field(default_factory=dict)
    cost: float = 0.0
    seconds: float = 0.0
    saved: float = 0.0
    warm: bool = False
    replied: bool = True

    @property
    def key(self) -> StepKey:
        """Its step, as it was."""
        return StepKey(self.agent, self.step, self.version)

    @property
    def is_shadow(self) -> bool:
        """Whether only an audit asked for it."""
        return self.ask.startswith(SHADOW)

    @property
    def verdicts(self) -> dict[str, bool]:
        """Whether each check passed; of an old one that failed, what its score alone tells."""
        if self.failed is None:
            sure = (0.0, 1.0) if self.passed else (0.0,)
            return {name: score > 0 for name, score in self.checks.items() if score in sure}
        return {name: name not in self.failed for name in self.checks}

    def body(self) -> dict[str, Any]:
        """As a lesson keeps it; what names it, and what was asked, stand beside."""
        names = self.__slots__
        return {name: getattr(self, name) for name in names if name not in _BESIDE} | {
            "checks": dict(self.checks)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a reply.

    Attributes:
        attempt_id: The attempt that paid for the reply.
        score: 0 to 1.
        source: Who says so.
        weight: Below 1 where a whole task was judged and it is one of several replies.
        at: When it was told.
    """

    attempt_id: str
    score: float
    source: Source
    weight: float = 1.0
    at: datetime | None = None

    def body(self) -> dict[str, Any]:
        """As a lesson keeps it; the attempt and the time stand beside."""
        return {"score": self.score, "source": self.source, "weight": self.weight}


def fact_of(lesson: Lesson) -> Observation | Outcome:
    """The observation or outcome that a lesson keeps."""
    if lesson.kind == "outcome":
        return Outcome(attempt_id=lesson.subject, at=lesson.at, **lesson.body)
    body = dict(lesson.body)
    body["signals"] = tuple(body["signals"])
    if body.get("failed") is not None:
        body["failed"] = tuple(body["failed"])
    return Observation(attempt_id=lesson.subject, step=lesson.step, words=lesson.words, **body)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt shows before anybody replied.

    Attributes:
        signals: As `prompt_signals` orders them.
        words: Hashed.
    """

    signals: tuple[float, ...]
    words: Mapping[int, float]

    @classmethod
    def of(cls, prompt: str) -> Asked:
        """Read it."""
        text = _text(prompt)
        words = {bucket: round(value, 3) for bucket, value in hashed(text).items()}
        return cls(prompt_signals(text), words)


def signals_of(prompt: str, reply: str) -> tuple[tuple[float, ...], int]:
    """What a prompt and a reply show, and the checksum of the form of the reply's last line."""
    prompt, reply = _text(prompt), _text(reply)
    found = read(prompt, reply)
    return (*prompt_signals(prompt), *found.signals), crc32(found.ending.encode())


def _text(text: str) -> str:
    """The end of a text, which models may have broken in the middle of a character."""
    return text[-_READ:].encode(errors="replace").decode()
