"""Reading a ledger for reports and the command line, beside those who write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, Self

from orchestrator.core.events import Certainty, TaskStatus
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.ledger.codec import from_json
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import UNCHANGED, AttemptKind, EndKind, TaskRecord
from orchestrator.ledger.stores.columns import Row, read_task
from orchestrator.ledger.stores.lesson_rows import OF_TASK, OF_TENANT, TENANTS, read_lesson
from orchestrator.ledger.stores.rows import FIRST_US, LAST_US, from_us, to_us

Dimension = Literal["org", "team", "agent", "user", "tenant", "task", "step", "model", "origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One attempt with all that a report groups by.

    Attributes:
        attempt_id: The attempt.
        task_id: Its task.
        org: Who pays, as are the next four.
        team: The team inside it.
        agent: The agent inside that.
        user: The end user, if known.
        tenant: The isolation boundary.
        step: The step that asked.
        model: The model's name in the policy.
        provider_model: The name the provider was asked for.
        served_model: The name the provider says it served.
        kind: What it was made for.
        end: ``None`` while it is open.
        cost: What was booked and what was billed above it; the reserve while it is open.
        overrun: The part of ``cost`` above the reserve.
        certainty: How sure ``cost`` is; ``unknown`` while it is open.
        usage: Tokens, if the provider's count was believable.
        price_source: Where the price came from.
        error: Why there is no reply.
        at: When the intent was made.
        ended_at: When it ended.
        seconds: From intent to end.
        saved: What a hit of the memo would have cost.
        saved_seconds: How long it would have taken.
        origin: In which region and with whose key, by the policy's names for them.
    """

    attempt_id: str
    task_id: str
    org: str
    team: str
    agent: str
    user: str | None
    tenant: str
    step: str
    model: str
    provider_model: str
    served_model: str | None
    kind: AttemptKind
    end: EndKind | None
    cost: Money
    overrun: Money
    certainty: Certainty
    usage: Usage | None
    price_source: str | None
    error: str | None
    at: datetime
    ended_at: datetime | None
    seconds: float | None
    saved: Money = Money.ZERO
    saved_seconds: float = 0.0
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An attempt whose owner died, so that nobody saw what it cost.

    Attributes:
        attempt_id: The attempt.
        task_id: Its task.
        step: The step that asked.
        model: The model's name in the policy.
        provider_model: The name the provider was asked for.
        reserve: The most it can have cost, which was held.
        at: When it was about to be sent.
        expires_at: When it was over at the latest.
        cost: What it cost, once somebody said so; ``None`` while it is in doubt.
        source: Who said so.
    """

    attempt_id: str
    task_id: str
    step: str
    model: str
    provider_model: str
    reserve: Money
    at: datetime
    expires_at: datetime
    cost: Money | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the attempts of one group cost.

    Attributes:
        group: The value of each dimension asked for, in order.
        attempts: How many, open ones too; hits of the memo and replies of a person are none.
        known: Cost that is sure.
        estimated: Cost that is a bound.
        unknown: Held for attempts that are open or in doubt.
        unknown_attempts: How many of these.
        overrun: The part of the cost that providers billed above their bound.
        input_tokens: Where providers said so.
        output_tokens: Where providers said so.
        hits: How often a memo answered instead.
        saved: What these would have cost.
        saved_seconds: How long they would have taken.
    """

    group: tuple[str | None, ...]
    attempts: int
    known: Money
    estimated: Money
    unknown: Money
    unknown_attempts: int
    overrun: Money
    input_tokens: int
    output_tokens: int
    hits: int = 0
    saved: Money = Money.ZERO
    saved_seconds: float = 0.0

    @property
    def cost(self) -> Money:
        """Known, estimated and unknown together."""
        return self.known + self.estimated + self.unknown


class LedgerReader(ABC):
    """A read-only connection to a ledger. For one thread; use it in a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    def _query(self, statement: str, values: Sequence[object]) -> Iterator[Row]:
        """The rows that a statement with ``?`` for each value finds.

        Raises:
            LedgerUnavailable: If the ledger cannot be read.
        """

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self.close()

    def tasks(
        self,
        *,
        status: TaskStatus | None = None,
        team: str | None = None,
        agent: str | None = None,
        limit: int = 100,
    ) -> list[TaskRecord]:
        """The newest tasks, without their bodies.

        Args:
            status: Only these.
            team: Only this team's.
            agent: Only this agent's.
            limit: At most so many.
        """
        found = self._query(
            "SELECT t.*, NULL, NULL, NULL FROM task_records t"
            " WHERE status = coalesce(?, status) AND team = coalesce(?, team)"
            " AND agent = coalesce(?, agent) ORDER BY at_us DESC, task_id DESC LIMIT ?",
            (status, team, agent, limit),
        )
        return [read_task(row) for row in found]

    def task(self, task_id: str) -> TaskRecord | None:
        """One task, without its bodies."""
        found = self._query(
            "SELECT t.*, NULL, NULL, NULL FROM task_records t WHERE task_id = ?", (task_id,)
        )
        return next(map(read_task, found), None)

    def attempts_of(self, task_id: str) -> list[Spending]:
        """The attempts of a task and of the tasks inside it, in order."""
        return [_read_spending(row) for row in self._query(_ATTEMPTS_OF, (task_id,))]

    def attempts(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Spending]:
        """Attempts whose intent was made in ``since <= at < until``, oldest first."""
        return map(_read_spending, self._query(_ATTEMPTS, _period(since, until)))

    def lessons_of(self, task_id: str) -> list[Lesson]:
        """What a task taught, and why its models were chosen, in order."""
        return list(map(read_lesson, self._query(OF_TASK, (task_id,))))

    def lessons(self, tenant: str) -> Iterator[Lesson]:
        """What a tenant may learn from, in the order of the log, choices left out."""
        return map(read_lesson, self._query(OF_TENANT, (tenant, 0, 2**63 - 1)))

    def taught(self) -> list[str]:
        """The tenants that may learn from something."""
        return [tenant for (tenant,) in self._query(TENANTS, ())]

    def doubts(self) -> list[Doubt]:
        """Every attempt whose owner died, oldest first, with what became of the doubt."""
        found = self._query(
            "SELECT r.attempt_id, r.task_id, r.step, r.model, r.provider_model, r.reserve, r.at_us,"
            " r.expires_at_us, CASE WHEN r.certainty <> 'unknown' THEN r.cost + r.overrun END,"
            " CASE WHEN r.certainty <> 'unknown' THEN r.price_source END"
            " FROM attempt_records r WHERE r.end = 'expired' ORDER BY r.at_us, r.seq",
            (),
        )
        return [_read_doubt(row) for row in found]

    def renewals(self) -> Iterator[tuple[str, AttemptKind, bool]]:
        """What a memo asked anew: step, kind, and whether the reply said what was known."""
        for step, kind, checks in self._query(_RENEWALS, ()):
            yield step, kind, bool(from_json(checks).get(UNCHANGED))

    def totals(
        self,
        by: Sequence[Dimension],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Total]:
        """What the attempts of a period cost, grouped; dearest first.

        Args:
            by: What to group by; nothing gives one total, of no attempts perhaps.
            since: First instant of the period.
            until: First instant after it.
        """
        columns = [_COLUMNS[dimension] for dimension in by]
        grouping = f"GROUP BY {', '.join(columns)}" if columns else ""
        selected = "".join(f", {column}" for column in columns)
        statement = _TOTALS.format(selected=selected, grouping=grouping)
        totals = [_read_total(row) for row in self._query(statement, _period(since, until))]
        return sorted(
            totals, key=lambda total: (-total.cost.nano, [it or "" for it in total.group])
        )


_COLUMNS: Mapping[Dimension, str] = MappingProxyType(
    {
        "org": "t.org",
        "team": "t.team",
        "agent": "t.agent",
        "user": "t.user",
        "tenant": "t.tenant",
        "task": "r.task_id",
        "step": "r.step",
        "model": "r.model",
        "origin": "r.origin",
    }
)
_SPENDING = """
SELECT r.attempt_id, r.task_id, t.org, t.team, t.agent, t.user, t.tenant, r.step, r.model,
    r.provider_model, r.served_model, r.kind, r.end, coalesce(r.cost + r.overrun, r.reserve),
    coalesce(r.overrun, 0), coalesce(r.certainty, 'unknown'), r.input_tokens, r.output_tokens,
    r.cached_input_tokens, r.cache_write_tokens, r.reasoning_tokens, r.price_source, r.error,
    r.at_us, r.ended_at_us, r.seconds, coalesce(r.saved, 0), coalesce(r.saved_seconds, 0),
    r.origin
FROM attempt_records r JOIN tasks t ON t.task_id = r.task_id
"""
_ATTEMPTS = f"{_SPENDING} WHERE r.at_us >= ? AND r.at_us < ? ORDER BY r.at_us, r.seq"
_ATTEMPTS_OF = f"""{_SPENDING}
JOIN task_holders h ON h.task_id = r.task_id AND h.kind = 'task' AND h.identity = ?
ORDER BY r.at_us, r.seq
"""
_RENEWALS = """
SELECT d.step, r.kind, d.checks FROM decisions d JOIN attempt_records r
ON r.task_id = d.task_id AND r.attempt_id = d.attempt_id WHERE r.kind IN ('refresh', 'rerun')
"""
_TOTALS = """
SELECT count(CASE WHEN r.kind NOT IN ('memo', 'person') THEN 1 END),
    coalesce(sum(CASE r.certainty WHEN 'known' THEN r.cost + r.overrun END), 0),
    coalesce(sum(CASE r.certainty WHEN 'estimated' THEN r.cost + r.overrun END), 0),
    coalesce(sum(CASE coalesce(r.certainty, 'unknown') WHEN 'unknown'
        THEN coalesce(r.cost + r.overrun, r.reserve) END), 0),
    count(CASE coalesce(r.certainty, 'unknown') WHEN 'unknown' THEN 1 END),
    coalesce(sum(r.overrun), 0), coalesce(sum(r.input_tokens), 0),
    coalesce(sum(r.output_tokens), 0), count(CASE r.kind WHEN 'memo' THEN 1 END),
    coalesce(sum(r.saved), 0), coalesce(sum(r.saved_seconds), 0)
    {selected}
FROM attempt_records r JOIN tasks t ON t.task_id = r.task_id
WHERE r.at_us >= ? AND r.at_us < ? {grouping}
"""


def _period(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    return (
        FIRST_US if since is None else to_us(since),
        LAST_US if until is None else to_us(until),
    )


def _read_spending(row: Row) -> Spending:
    return Spending(
        attempt_id=row[0],
        task_id=row[1],
        org=row[2],
        team=row[3],
        agent=row[4],
        user=row[5],
        tenant=row[6],
        step=row[7],
        model=row[8],
        provider_model=row[9],
        served_model=row[10],
        kind=row[11],
        end=row[12],
        cost=Money(row[13]),
        overrun=Money(row[14]),
        certainty=row[15],
        usage=None if row[16] is None else Usage(*row[16:21]),
        price_source=row[21],
        error=row[22],
        at=from_us(row[23]),
        ended_at=None if row[24] is None else from_us(row[24]),
        seconds=row[25],
        saved=Money(row[26]),
        saved_seconds=row[27],
        origin=row[28],
    )


def _read_doubt(row: Row) -> Doubt:
    return Doubt(
        attempt_id=row[0],
        task_id=row[1],
        step=row[2],
        model=row[3],
        provider_model=row[4],
        reserve=Money(row[5]),
        at=from_us(row[6]),
        expires_at=from_us(row[7]),
        cost=None if row[8] is None else Money(row[8]),
        source=row[9],
    )


def _read_total(row: Row) -> Total:
    # A sum of integers may be a Decimal.
    return Total(
        group=tuple(row[11:]),
        attempts=row[0],
        known=Money(int(row[1])),
        estimated=Money(int(row[2])),
        unknown=Money(int(row[3])),
        unknown_attempts=row[4],
        overrun=Money(int(row[5])),
        input_tokens=int(row[6]),
        output_tokens=int(row[7]),
        hits=row[8],
        saved=Money(int(row[9])),
        saved_seconds=row[10],
    )
