"""What a store loads and writes: plain rows, money in nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import AttemptEnd, AttemptIntent, Balance, Decision, EndKind

BodyKind = Literal["input", "output", "reply", "words"]

FIRST_US = -(2**63)
LAST_US = 2**63 - 1
"""Before and after every instant that a store can hold, in microseconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Microseconds since 1970, exactly.

    Raises:
        TypeError: If ``instant`` is naive.
    """
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The instant, in UTC, of a count of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def life_us(intent: AttemptIntent) -> int:
    """How long a hold of an attempt lives from when it is granted, in microseconds."""
    return (intent.expires_at - intent.at) // _MICROSECOND


class TaskState(NamedTuple):
    """What decides whether an owner may still act for a task."""

    epoch: int
    status: TaskStatus
    signal: HaltReason | None


@dataclass(slots=True, eq=False)
class AccountRow:
    """The sums of one account. A cache: at every commit equal to seed + fold of the attempts.

    Attributes:
        account_id: The store's own number for it; 0 until it is stored.
        key: :attr:`Account.key`.
        settled: Booked for good, in nano-dollars, as are the other sums.
        reserved: Held by open attempts.
        disputed: Held by attempts whose owner died.
        overrun: Billed above the reserve; never part of the other sums.
    """

    account_id: int
    key: str
    settled: int = 0
    reserved: int = 0
    disputed: int = 0
    overrun: int = 0

    def copy(self) -> AccountRow:
        """A row that can be changed without changing this one."""
        return AccountRow(
            self.account_id,
            self.key,
            self.settled,
            self.reserved,
            self.disputed,
            self.overrun,
        )

    def balance(self) -> Balance:
        """The sums as money."""
        return Balance(
            settled=Money(self.settled),
            reserved=Money(self.reserved),
            disputed=Money(self.disputed),
            overrun=Money(self.overrun),
        )


class Hold(NamedTuple):
    """An attempt, and what it holds on each account of its path while it is open.

    ``seq`` numbers the attempts of a store; the times are microseconds since 1970.
    """

    seq: int
    attempt_id: str
    task_id: str
    epoch: int
    reserve: int
    account_ids: tuple[int, ...]
    at_us: int
    expires_at_us: int
    is_open: bool

    def ended(self) -> Hold:
        """The same attempt, holding nothing any more."""
        return Hold(*self[:-1], is_open=False)


class Fact(NamedTuple):
    """What one attempt did to its accounts; ``end`` is ``None`` while it is open.

    One that was in doubt and is corrected counts as ``settled``.
    """

    attempt_id: str
    reserve: int
    account_ids: tuple[int, ...]
    end: str | None
    cost: int
    overrun: int


class Standing(NamedTuple):
    """How an attempt that has ended is booked now: its end, or its newest correction."""

    kind: EndKind
    cost: int
    overrun: int
    is_corrected: bool


class Body(NamedTuple):
    """The input or output of a task. ``expires_at_us`` is ``None`` while the task runs."""

    task_id: str
    kind: Literal["input", "output"]
    encoding: str
    body: bytes
    expires_at_us: int | None


class Reply(NamedTuple):
    """The reply of an attempt. ``expires_at_us`` is ``None`` while its task runs."""

    seq: int
    body: bytes
    expires_at_us: int | None


@dataclass(slots=True)
class Wanted:
    """The rows a batch is known to need, so that a store can load them in one go.

    Attributes:
        tasks: Task ids.
        accounts: Account keys.
        holds: Attempt ids; the accounts that open ones hold are wanted too.
    """

    tasks: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there is anything to load."""
        return bool(self.tasks or self.accounts or self.holds)


@dataclass(slots=True)
class Loaded:
    """The wanted rows that exist."""

    tasks: dict[str, TaskState] = field(default_factory=dict)
    accounts: dict[int, AccountRow] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """The writes of a batch, in the order a store applies them."""

    intents: list[tuple[Hold, AttemptIntent]] = field(default_factory=list)
    ends: list[tuple[Hold, AttemptEnd]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    accounts: dict[int, AccountRow] = field(default_factory=dict)
    marks: list[tuple[str, str, str]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
