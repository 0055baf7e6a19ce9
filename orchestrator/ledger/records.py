"""The facts a ledger holds. Frozen records, the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from orchestrator.core.events import Certainty, TaskStatus
from orchestrator.core.halt import Halt
from orchestrator.core.money import Money
from orchestrator.core.priority import Priority
from orchestrator.core.scope import Scope, ScopeKind
from orchestrator.core.usage import Usage

AttemptKind = Literal[
    "ask",
    "retry",
    "escalation",
    "agreement",
    "judge",
    "memo",
    "person",
    "tool",
    "resource",
    "refresh",
    "rerun",
    "audit",
]
"""``memo`` is a hit: a row of its own that costs nothing and says what it saved. ``person`` is a
reply that a person gave. No request left for either, so they are no attempts in any count. ``tool``
is a call of a tool and ``resource`` something else that was used: they cost money, but ask no
model. ``refresh`` and ``rerun`` are what a memo asks anew in the background: what has become stale,
and a sample of what is fresh. ``audit`` asks what another model says."""
UNCHANGED = "unchanged"
"""Name of the check that such a reply passes if it says what the memo's entry said."""
UNASKED: frozenset[AttemptKind] = frozenset({"memo", "person"})
ASKS_NO_MODEL: frozenset[AttemptKind] = UNASKED | {"tool", "resource"}
EndKind = Literal["settled", "released", "expired"]

HALTED_UNSENT = "halted before it was sent"
WITHDRAWN = "withdrawn before it was made"
PAID_EARLY = "paid before what runs in it"
"""In place of an error: a tool was paid when what runs in it needed money. It may not be over."""
NEVER_SENT = frozenset({HALTED_UNSENT, WITHDRAWN})
"""Errors of attempts that were released because their request never left."""


@dataclass(frozen=True, slots=True)
class Account:
    """One budget of one holder in one window: where money is counted.

    Attributes:
        kind: The kind of holder.
        identity: The holder, unique in its kind (``acme/research``).
        window: The window's key (``total``, ``month@Europe/Berlin:2026-11``). A new window is a
            new account, so nothing is ever reset.
        starts_at: First instant of the window; ``None`` for ``total`` and ``task``.
        ends_at: First instant after the window; ``None`` for ``total`` and ``task``.
        key: The account's primary key.
    """

    kind: ScopeKind
    identity: str
    window: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the key once: each attempt looks its accounts up many times."""
        object.__setattr__(self, "key", f"{self.kind}|{self.identity}|{self.window}")

    def contains(self, at: datetime) -> bool:
        """Whether a moment lies in its window."""
        return (self.starts_at is None or at >= self.starts_at) and (
            self.ends_at is None or at < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class Demand:
    """What one attempt asks of one account.

    Attributes:
        account: The account.
        limit: The budget's amount.
        withheld: The part of ``limit`` this attempt may not touch (``finish_reserve``); never
            waited for.
        may_wait: Whether it waits where others may still free what it needs.
    """

    account: Account
    limit: Money
    withheld: Money = Money.ZERO
    may_wait: bool = True


@dataclass(frozen=True, slots=True)
class Balance:
    """Sums of one account; ``overrun`` is what providers billed above their bound."""

    settled: Money = Money.ZERO
    reserved: Money = Money.ZERO
    disputed: Money = Money.ZERO
    overrun: Money = Money.ZERO

    @property
    def committed(self) -> Money:
        """Settled, reserved and disputed: what promise 1 holds under the limit."""
        return self.settled + self.reserved + self.disputed


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptIntent:
    """The row written before a request leaves: the hold and the intent in one.

    Attributes:
        attempt_id: Unique id.
        task_id: The task.
        epoch: The owner's epoch of the task; an older one is fenced.
        key: The journal key (digest of frames, step, request hash, k).
        request_hash: Digest of what is asked, without model or policy.
        step: The step's name.
        kind: What it is made for; see :data:`AttemptKind`.
        model: The model's name in the policy.
        provider_model: The name the provider is asked for.
        reserve: The worst case this attempt can cost.
        expires_at: When the hold of a dead owner may be expired: deadline of the attempt + 10 s.
            The time from ``at`` to here is the hold's life, which begins when it is granted: an
            attempt that waited for money has as much of it as one that did not. The record that is
            stored says when it really ends.
        at: When the intent was made; it decides in which windows the attempt counts.
        token_bound: Input and output tokens of that worst case, which count against
            ``limits.tokens`` where nobody says how many there were.
        origin: In which region and with whose key, by the names that the policy gives them
            (``eu/OPENAI_KEY_B``); ``None``: the policy names none.
    """

    attempt_id: str
    task_id: str
    epoch: int
    key: str
    request_hash: str
    step: str
    kind: AttemptKind
    model: str
    provider_model: str
    reserve: Money
    expires_at: datetime
    at: datetime
    token_bound: int = 0
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """The one row that resolves an intent.

    Attributes:
        attempt_id: The intent.
        end: ``settled`` (billed, perhaps zero), ``released`` (never billed) or ``expired``
            (its owner died).
        cost: What is booked on the accounts, at most the reserve.
        overrun: What the provider billed above the reserve; booked apart.
        certainty: How sure ``cost`` is.
        usage: Tokens as the provider said, if believable.
        served_model: The model the provider says it served.
        price_source: Where the price came from (``policy``, ``genai-prices 0.2.3``).
        error: Why there is no reply; ``None`` if there is one.
        seconds: Time from intent to end.
        at: When it ended.
        reply: The journaled reply, to be replayed on resume; ``None`` if there is none.
        saved: What a hit of the memo would have cost.
        saved_seconds: How long it would have taken.
    """

    attempt_id: str
    end: EndKind
    cost: Money
    certainty: Certainty
    seconds: float
    at: datetime
    overrun: Money = Money.ZERO
    usage: Usage | None = None
    served_model: str | None = None
    price_source: str | None = None
    error: str | None = None
    reply: bytes | None = None
    saved: Money = Money.ZERO
    saved_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An intent with its end, which shows what was corrected; ``None`` while it is open."""

    intent: AttemptIntent
    end: AttemptEnd | None

    @property
    def is_hit(self) -> bool:
        """Whether a memo or a person answered instead of a model."""
        return self.intent.kind in UNASKED

    @property
    def is_in_doubt(self) -> bool:
        """Whether its owner died, and nobody has said yet what it cost."""
        end = self.end
        return end is not None and end.end == "expired" and end.certainty == "unknown"

    @property
    def was_sent(self) -> bool:
        """Whether a model may have been asked: a hit, a tool or an unused hold asked none."""
        if self.intent.kind in ASKS_NO_MODEL:
            return False
        return self.end is None or self.end.error not in NEVER_SENT

    @property
    def tokens(self) -> int:
        """Tokens it counts for.

        As many as the provider said. Where it did not, or not believably: the bound if the money is
        booked at its bound too or still held, and none if the attempt was not billed.
        """
        intent, end = self.intent, self.end
        if end is None:
            return intent.token_bound
        if end.usage is not None:
            return end.usage.total_tokens
        is_free = end.end == "released" or end.cost < intent.reserve
        return 0 if is_free else intent.token_bound


class Decision(NamedTuple):
    """Which reply answered one ask, and why; kept for explanation and for an exact resume.

    Attributes:
        task_id: The task.
        key: The journal key of the ask.
        step: The step.
        attempt_id: The attempt whose reply was taken.
        accepted: Whether its checks passed (``False``: best reply below the threshold).
        confidence: What the checks make of it; ``None`` without checks.
        confidence_state: ``uncalibrated`` until a calibration exists.
        checks: Verdict of each check by name.
        at: When.
    """

    task_id: str
    key: str
    step: str
    attempt_id: str
    accepted: bool
    confidence: float | None
    confidence_state: str
    at: datetime
    checks: Mapping[str, bool] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpening:
    """What is stored when a task starts, before anything is spent.

    Attributes:
        scope: Who it belongs to.
        owner: The process that runs it.
        graph: ``module:name`` if the graph was given so, else a label.
        policy: The policy's path as given.
        input_type: How ``input_body`` is encoded.
        input_body: The input; a crash may leave no checkpoint to take it from.
        budget: The task's own budget when ``run`` lowered the policy's.
        timeout_s: The task's own timeout when ``run`` lowered the policy's.
        priority: The task's own priority, where ``run`` gave one.
        parent_key: The journal key in the parent task, for a task run inside another.
        at: When.
    """

    scope: Scope
    owner: str
    graph: str
    policy: str
    input_type: str
    input_body: bytes
    at: datetime
    budget: Money | None = None
    timeout_s: float | None = None
    parent_key: str | None = None
    priority: Priority | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as the ledger knows it now.

    Attributes:
        opening: How it started. ``input_body`` may be empty once bodies have expired.
        status: ``running`` also when its owner is dead: only a takeover can tell.
        epoch: Grows by one with each owner.
        added_budget: All ``add_budget`` of its resumes together.
        extensions: All ``extend`` of its resumes, added up by limit name.
        running_s: Time it ran, over all resumes that ended.
        halt: The last halt, if it is halted.
        error: The last error, if it failed.
        output: The encoded output (type, body), if it completed and bodies are kept.
        updated_at: When the status last changed.
    """

    opening: TaskOpening
    status: TaskStatus
    epoch: int
    updated_at: datetime
    added_budget: Money = Money.ZERO
    extensions: Mapping[str, float] = field(default_factory=dict)
    running_s: float = 0.0
    halt: Halt | None = None
    error: str | None = None
    output: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClosing:
    """What is stored when a run of a task returns; ``running_s`` is the time of this run alone."""

    task_id: str
    epoch: int
    status: TaskStatus
    running_s: float
    at: datetime
    halt: Halt | None = None
    error: str | None = None
    output: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """All a resume needs: attempts in order, decisions by key, and what was counted.

    Attributes:
        attempts: In the order of their intents.
        decisions: Last decision by journal key.
        marks: Keys counted once each, by kind (``steps``, ``tool_calls``).
    """

    attempts: tuple[AttemptRecord, ...]
    decisions: Mapping[str, Decision]
    marks: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was erased of a user.

    Attributes:
        tasks: The user's tasks; what they cost stays.
        running: Those the ledger still calls running, which may yet write more.
        bodies: How many inputs, replies and outputs went.
    """

    tasks: tuple[str, ...]
    running: tuple[str, ...]
    bodies: int
