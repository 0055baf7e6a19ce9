"""What is remembered of one answer, and its bytes.

Layout: ``OMEM``, one byte of schema version, CRC-32 of all that follows, length of the facts (both
big-endian, 4 bytes), the facts as a JSON array, the reply as it was given. Reading builds nothing
but text, numbers and this record; the reply stays bytes.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from orchestrator.core.money import Money

SCHEMA = 1
_HEAD = struct.Struct(">4sBII")
_MAGIC = b"OMEM"

# What the facts of an entry are, one by one. Anyone can compute a checksum.
_NONE = type(None)
_KINDS = (
    *((str,), (str,), (str,), (str,), (str, _NONE), (float,), (str,), (float, int, _NONE)),
    *((str,), (list,), (dict,), (list,), (int,), (int,), (float, int)),
)
_SHAPES = frozenset(itertools.product(*_KINDS))
MAX_COST_NANO = 10**18
"""What the ledger can say was saved by one hit."""

ConfidenceState = str
Kind = Literal["model", "tool"]


class EntryDamaged(Exception):  # noqa: N818 - names the fact
    """The bytes are no entry of this schema, or not the one asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An accepted answer, offered to the memo.

    Attributes:
        reply: The reply, encoded by whoever will decode it; opaque to the memo.
        model: Who answered.
        complete: ``False`` if it was cut at its length limit or filtered; such are never stored.
        confidence: What the checks make of it; ``None`` without checks.
        confidence_state: How far the confidence can be trusted.
        checks: Verdict of each check by name.
        cost: What it cost, checks and escalations included: what a hit saves.
        tokens: Input and output tokens together.
        seconds: How long it took.
        reads: Versions of what it was made from, by source, beyond those of the step's ``reads:``;
            gathered by :func:`orchestrator.memo.readings.gathered`.
        labels: Labels of inputs that came to light only while answering.
    """

    reply: bytes
    model: str
    complete: bool
    confidence: float | None = None
    confidence_state: ConfidenceState = "uncalibrated"
    checks: Mapping[str, bool] = field(default_factory=dict)
    cost: Money = Money.ZERO
    tokens: int = 0
    seconds: float = 0.0
    reads: Mapping[str, str] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()


class Entry(NamedTuple):
    """One remembered answer. A tuple, because every hit builds one.

    Attributes:
        key: The key it was stored under.
        kind: A model's reply or a tool's result.
        step: The step or tool.
        tenant: Whose it is.
        user: For whom it was asked; ``forget`` erases by it, however widely it was shared.
        created_s: When it was accepted, in seconds since 1970 UTC.
        reply: The reply's bytes.
        model: Who answered.
        confidence: Its confidence, if it was checked.
        confidence_state: How far that can be trusted.
        checks: Names of the checks it passed.
        reads: Version of each source it was made from.
        labels: Labels of its inputs; they flow on to whatever is made from it.
        cost: What it cost, and a hit saves.
        tokens: Tokens a hit saves.
        seconds: Seconds a hit saves.
    """

    key: str
    kind: Kind
    step: str
    tenant: str
    user: str | None
    created_s: float
    reply: bytes
    model: str
    confidence: float | None
    confidence_state: ConfidenceState
    checks: frozenset[str]
    reads: Mapping[str, str]
    labels: frozenset[str]
    cost: Money
    tokens: int
    seconds: float


class Needs(NamedTuple):
    """What a step asks of an answer.

    Attributes:
        confidence: The least confidence; ``None``: any complete reply will do.
        checks: Names of the checks it must have passed.
        evidence: Whether an answer that no check had anything to say about is refused where a
            confidence is asked for.
    """

    confidence: float | None = None
    checks: frozenset[str] = frozenset()
    evidence: bool = True

    def unmet_by(self, entry: Entry) -> str | None:
        """Why ``entry`` is not good enough, or ``None`` if it is."""
        missing = self.checks - entry.checks
        if missing:
            return f"unchecked: {', '.join(sorted(missing))}"
        if self.confidence is None:
            return None
        if entry.confidence is None and not self.evidence:
            return None
        if entry.confidence is None:
            return f"it has no confidence and {self.confidence:g} is needed"
        if entry.confidence < self.confidence:
            return f"confidence {entry.confidence:g} is below {self.confidence:g}"
        return None


NO_NEEDS = Needs()


def encode(entry: Entry) -> bytes:
    """The entry's bytes."""
    facts = orjson.dumps(
        (
            entry.key,
            entry.kind,
            entry.step,
            entry.tenant,
            entry.user,
            entry.created_s,
            entry.model,
            entry.confidence,
            entry.confidence_state,
            sorted(entry.checks),
            dict(entry.reads),
            sorted(entry.labels),
            entry.cost.nano,
            entry.tokens,
            entry.seconds,
        )
    )
    length = len(facts).to_bytes(4, "big")
    checksum = zlib.crc32(entry.reply, zlib.crc32(facts, zlib.crc32(length)))
    return b"".join((_HEAD.pack(_MAGIC, SCHEMA, checksum, len(facts)), facts, entry.reply))


def decode(body: bytes, key: str) -> Entry:
    """Read an entry back.

    Args:
        body: What the store holds.
        key: The key it was found under; an entry that was moved to another key is refused.

    Raises:
        EntryDamaged: If it is cut, changed, of another schema, or of another key.
    """
    if len(body) < _HEAD.size:
        message = f"entry {key[:12]} is cut after {len(body)} bytes"
        raise EntryDamaged(message)
    magic, schema, checksum, length = _HEAD.unpack_from(body)
    end = _HEAD.size + length
    if magic != _MAGIC or schema != SCHEMA:
        message = f"entry {key[:12]} is not of schema {SCHEMA}"
        raise EntryDamaged(message)
    if zlib.crc32(memoryview(body)[_HEAD.size - 4 :]) != checksum:
        message = f"entry {key[:12]} fails its checksum"
        raise EntryDamaged(message)
    try:
        facts = orjson.loads(body[_HEAD.size : end])
        entry = _entry(facts, body[end:])
    except (ValueError, TypeError) as error:
        message = f"entry {key[:12]} has unreadable facts"
        raise EntryDamaged(message) from error
    if entry.key != key:
        message = f"entry {key[:12]} belongs to another key"
        raise EntryDamaged(message)
    return entry


def _entry(facts: list[Any], reply: bytes) -> Entry:
    if type(facts) is not list or tuple(map(type, facts)) not in _SHAPES:
        message = "facts of other kinds"
        raise TypeError(message)
    key, kind, step, tenant, user, created_s, model, confidence, state, *rest = facts
    checks, reads, labels, cost_nano, tokens, seconds = rest
    texts = (*checks, *labels, *reads.values())
    if texts and set(map(type, texts)) != {str}:
        message = "names that are no text"
        raise TypeError(message)
    if any("\0" in text for text in (model, *labels)):
        message = "names that no ledger can hold"
        raise ValueError(message)
    if not (
        0 <= cost_nano <= MAX_COST_NANO
        and tokens >= 0
        and 0 <= seconds < math.inf
        and (confidence is None or 0 <= confidence <= 1)
    ):
        message = "numbers that cannot be"
        raise ValueError(message)
    return Entry(
        key,
        kind,
        step,
        tenant,
        user,
        created_s,
        reply,
        model,
        confidence,
        state,
        frozenset(checks),
        reads,
        frozenset(labels),
        Money(cost_nano),
        tokens,
        seconds,
    )
