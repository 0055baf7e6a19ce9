"""A store in memory: for tests, and for tasks nobody wants to resume after the process ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from orchestrator.core.events import TaskStatus
from orchestrator.core.halt import HaltReason
from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.ledger.afterwards import Correction, Crossing
from orchestrator.ledger.courses import Spent
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import (
    Account,
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Decision,
    TaskHistory,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.stores.alone import Alone
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Body,
    BodyKind,
    Changes,
    Fact,
    Hold,
    Loaded,
    Reply,
    Standing,
    TaskState,
    Wanted,
    from_us,
    to_us,
)
from orchestrator.ledger.stores.undoing import Undoing


class MemoryStore(Alone, Undoing):
    """Dictionaries, and a list of what to undo if a transaction is rolled back."""

    def __init__(self) -> None:
        """Empty."""
        super().__init__()
        self._tasks: dict[str, tuple[TaskRecord, HaltReason | None]] = {}
        self._attempts: dict[str, tuple[Hold, AttemptIntent]] = {}
        self._attempt_ids: dict[int, str] = {}
        self._ends: dict[str, AttemptEnd] = {}
        self._accounts: dict[int, AccountRow] = {}
        self._account_ids: dict[str, int] = {}
        self._seeds: dict[int, AccountRow] = {}
        self._bodies: dict[tuple[str, BodyKind], Body] = {}
        self._replies: dict[str, Reply] = {}
        self._marks: dict[tuple[str, str, str], None] = {}
        self._decisions: dict[int, Decision] = {}
        self._lessons: dict[int, Lesson] = {}
        self._words: dict[str, Lesson] = {}
        self._crossings: dict[Crossing, int] = {}
        self._corrections: dict[str, tuple[Correction, Money]] = {}

    def load(self, wanted: Wanted) -> Loaded:
        """The wanted rows, as copies that the caller may change."""
        loaded = Loaded()
        for task_id in wanted.tasks & self._tasks.keys():
            record, signal = self._tasks[task_id]
            loaded.tasks[task_id] = TaskState(record.epoch, record.status, signal)
        ids = {self._account_ids[key] for key in wanted.accounts & self._account_ids.keys()}
        for attempt_id in wanted.holds & self._attempts.keys():
            hold = self._hold(attempt_id)
            loaded.holds[attempt_id] = hold
            if hold.is_open:
                ids.update(hold.account_ids)
        loaded.accounts = {account_id: self._accounts[account_id].copy() for account_id in ids}
        return loaded

    def write(self, changes: Changes) -> None:
        """Write a batch's changes."""
        for hold, intent in changes.intents:
            if intent.attempt_id in self._attempts:
                message = f"attempt {intent.attempt_id} is there already"
                raise LookupError(message)  # as any other store would
            stored = replace(intent, expires_at=from_us(hold.expires_at_us))
            self._put(self._attempts, intent.attempt_id, (hold, stored))
            self._put(self._attempt_ids, hold.seq, intent.attempt_id)
        for _, end in changes.ends:
            self._put(self._ends, end.attempt_id, replace(end, reply=None))
        for reply in changes.replies:
            self._put(self._replies, self._attempt_ids[reply.seq], reply)
        for account_id, row in changes.accounts.items():
            self._put(self._accounts, account_id, row.copy())
        for mark in changes.marks:
            self._put(self._marks, mark, None)
        for decision in changes.decisions:
            self._put(self._decisions, len(self._decisions), decision)
        for lesson in changes.lessons:
            seq = len(self._lessons) + 1
            self._put(self._lessons, seq, replace(lesson, seq=seq, words={}))
            if lesson.words:
                self._put(self._words, lesson.subject, lesson)

    def next_seq(self) -> int:
        """The number of the next attempt."""
        return len(self._attempts) + 1

    def insert_task(self, opening: TaskOpening, state: TaskState) -> None:
        """Store a new task, without its input."""
        record = TaskRecord(
            opening=replace(opening, input_body=b""),
            status=state.status,
            epoch=state.epoch,
            updated_at=opening.at,
        )
        self._put(self._tasks, opening.scope.task_id, (record, state.signal))

    def update_task(self, record: TaskRecord, signal: HaltReason | None) -> None:
        """Replace what may change about a task; never how it started, nor its bodies."""
        task_id = record.opening.scope.task_id
        started = self._tasks[task_id][0].opening
        kept = replace(record, opening=replace(started, owner=record.opening.owner), output=None)
        self._put(self._tasks, task_id, (kept, signal))

    def task(self, task_id: str) -> TaskRecord | None:
        """The task with its bodies, as far as they are kept."""
        if task_id not in self._tasks:
            return None
        record = self._tasks[task_id][0]
        given = self._bodies.get((task_id, "input"))
        output = self._bodies.get((task_id, "output"))
        return replace(
            record,
            opening=replace(record.opening, input_body=given.body if given else b""),
            output=(output.encoding, output.body) if output else None,
        )

    def descendants(self, task_id: str) -> list[str]:
        """Ids of the tasks that run, or ran, inside this one; outermost first."""
        scopes = (record.opening.scope for record, _ in self._tasks.values())
        inside = [scope for scope in scopes if task_id in scope.ancestors]
        return [scope.task_id for scope in sorted(inside, key=lambda it: len(it.ancestors))]

    def insert_account(self, account: Account, seed: AccountRow) -> AccountRow:
        """Store an account that starts with ``seed``, and number it."""
        row = replace(seed, account_id=len(self._accounts) + 1)
        self._put(self._accounts, row.account_id, row.copy())
        self._put(self._account_ids, account.key, row.account_id)
        self._put(self._seeds, row.account_id, row.copy())
        return row

    def spent(self, account: Account) -> tuple[int, int]:
        """What the attempts of the account's holder and window cost, and their overrun, in nano."""
        cost = overrun = 0
        for attempt_id, (_, intent) in self._attempts.items():
            scope = self._tasks[intent.task_id][0].opening.scope
            is_held = scope.identity(account.kind) == account.identity or (
                account.kind == "task" and account.identity in scope.ancestors
            )
            if not is_held or not account.contains(intent.at):
                continue
            end = self._end(attempt_id)
            cost += intent.reserve.nano if end is None else end.cost.nano
            overrun += 0 if end is None else end.overrun.nano
        return cost, overrun

    def holds(self, task_ids: Sequence[str]) -> list[Hold]:
        """Open attempts of these tasks."""
        return [hold for hold in self._open_holds() if hold.task_id in task_ids]

    def overdue(self, now_us: int) -> list[Hold]:
        """Open attempts whose ``expires_at`` has come."""
        return [hold for hold in self._open_holds() if hold.expires_at_us <= now_us]

    def standing(self, seq: int) -> Standing | None:
        """How an attempt is booked; ``None`` while it is open."""
        attempt_id = self._attempt_ids[seq]
        if (end := self._end(attempt_id)) is None:
            return None
        return Standing(end.end, end.cost.nano, end.overrun.nano, attempt_id in self._corrections)

    def accounts_with(self, ids: Iterable[int]) -> list[AccountRow]:
        """The accounts with these numbers, as copies that the caller may change."""
        return [self._accounts[account_id].copy() for account_id in ids]

    def insert_correction(self, seq: int, correction: Correction, *, overrun: Money) -> None:
        """Store what an attempt really cost; ``overrun`` is the part above its reserve."""
        self._put(self._corrections, self._attempt_ids[seq], (correction, overrun))

    def crossings(self, accounts: Iterable[str]) -> list[Crossing]:
        """Which thresholds of these accounts were crossed."""
        wanted = set(accounts)
        return [crossing for crossing in self._crossings if crossing.account in wanted]

    def insert_crossing(self, crossing: Crossing, at_us: int) -> None:
        """Store that a threshold was crossed for the first time."""
        self._put(self._crossings, crossing, at_us)

    def rests(self, scope: Scope, step: str, limit: int) -> list[int]:
        """What the last completed tasks like this one cost from their first ask of a step on."""
        found: list[int] = []
        for task_id in self._completed(scope, limit):
            family = {task_id, *self.descendants(task_id)}
            own = [one for one, (_, it) in self._attempts.items() if it.task_id in family]
            starts = [
                n
                for n, one in enumerate(own)
                if (it := self._attempts[one][1]).step == step and it.task_id == task_id
            ]
            ends = [end for one in own[min(starts, default=len(own)) :] if (end := self._end(one))]
            if starts:
                found.append(sum((end.cost + end.overrun).nano for end in ends))
        return found

    def courses(self, scope: Scope, limit: int) -> list[Spent]:
        """What the last completed tasks like this one did, attempt by attempt."""
        roots: dict[str, list[str]] = {}
        for task_id in sorted(self._completed(scope, limit)):
            for member in (task_id, *self.descendants(task_id)):
                roots.setdefault(member, []).append(task_id)
        return [
            Spent.of(root, it, end)
            for attempt_id, (_, it) in self._attempts.items()
            if it.task_id in roots and (end := self._end(attempt_id))
            for root in roots[it.task_id]
        ]

    def insert_body(self, body: Body) -> None:
        """Store an input or output, in place of the task's former one."""
        self._put(self._bodies, (body.task_id, body.kind), body)

    def retain_bodies(
        self, task_ids: Iterable[str], kinds: Sequence[BodyKind], until_us: int | None
    ) -> None:
        """Let these tasks' bodies expire at ``until_us``; ``None``: keep them."""
        for rows, key in self._select_bodies(task_ids, kinds):
            self._put(rows, key, rows[key]._replace(expires_at_us=until_us))

    def delete_bodies(self, task_ids: Iterable[str], kinds: Sequence[BodyKind]) -> int:
        """Remove these tasks' bodies; how many there were."""
        found = self._select_bodies(task_ids, kinds)
        for rows, key in found:
            self._drop(rows, key)
        return len(found)

    def tasks_of(self, user: str, tenant: str | None) -> list[tuple[str, TaskStatus]]:
        """The tasks for a user, in one tenant or in all, with their status."""
        records = [record for record, _ in self._tasks.values()]
        return [
            (record.opening.scope.task_id, record.status)
            for record in records
            if record.opening.scope.user == user and tenant in (None, record.opening.scope.tenant)
        ]

    def purge_bodies(self, now_us: int) -> None:
        """Remove the bodies whose time has come."""
        for rows, key in self._select_bodies(self._tasks, ("input", "reply", "output")):
            until_us = rows[key].expires_at_us
            if until_us is not None and until_us <= now_us:
                self._drop(rows, key)

    def abandoned(self, before_us: int) -> list[str]:
        """Tasks still called running that gave no sign of life since ``before_us``."""
        lively = {
            intent.task_id for _, intent in self._attempts.values() if to_us(intent.at) > before_us
        }
        return [
            task_id
            for task_id, (record, _) in self._tasks.items()
            if record.status == "running"
            and to_us(record.updated_at) <= before_us
            and task_id not in lively
        ]

    def history(self, task_id: str) -> TaskHistory:
        """Attempts, decisions and marks of a task."""
        own_marks = sorted(mark for mark in self._marks if mark[0] == task_id)
        return TaskHistory(
            attempts=tuple(
                self._record(attempt_id, with_reply=True)
                for attempt_id, (_, intent) in self._attempts.items()
                if intent.task_id == task_id
            ),
            decisions={
                decision.key: decision
                for decision in self._decisions.values()
                if decision.task_id == task_id
            },
            marks={
                kind: frozenset(key for _, _, key in marks)
                for kind, marks in groupby(own_marks, key=lambda mark: mark[1])
            },
        )

    def lessons(self, tenant: str, after: int, limit: int) -> list[Lesson]:
        """What a tenant may learn from, in the order of the log, choices left out."""
        words = {(key, "observation"): one.words for key, one in self._words.items()}
        rows = list(self._lessons.values())[after:]
        found = [one for one in rows if one.tenant == tenant and one.kind != "choice"][:limit]
        return [replace(one, words=words.get((one.subject, one.kind), {})) for one in found]

    def in_doubt(self, task_id: str | None) -> list[AttemptRecord]:
        """Attempts whose owner died, without replies; of one task or of all."""
        found = [self._record(attempt_id, with_reply=False) for attempt_id in self._attempts]
        mine = [one for one in found if task_id in (None, one.intent.task_id)]
        return [one for one in mine if one.is_in_doubt]

    def accounts(self) -> Iterator[tuple[AccountRow, AccountRow]]:
        """Every account with its seed."""
        for account_id, row in self._accounts.items():
            yield row.copy(), self._seeds[account_id].copy()

    def facts(self) -> Iterator[Fact]:
        """Every attempt."""
        for attempt_id, (hold, _) in self._attempts.items():
            end = self._end(attempt_id)
            kind = "settled" if attempt_id in self._corrections else None
            yield Fact(
                attempt_id=attempt_id,
                reserve=hold.reserve,
                account_ids=hold.account_ids,
                end=None if end is None else kind or end.end,
                cost=0 if end is None else end.cost.nano,
                overrun=0 if end is None else end.overrun.nano,
            )

    def orphans(self) -> list[str]:
        """Rows that refer to a row that is not there: none, for nothing is ever removed."""
        return []

    def _completed(self, like: Scope, limit: int) -> list[str]:
        """The newest completed tasks of an agent and tenant, newest first; no upkeep."""
        done = [it.opening for it, _ in self._tasks.values() if it.status == "completed"]
        found = [
            (it.at, it.scope.task_id)
            for it in done
            if it.scope.identity("agent") == like.identity("agent")
            and it.scope.tenant == like.tenant
            and it.scope.identity("upkeep") is None
        ]
        return [task_id for _, task_id in sorted(found, reverse=True)[:limit]]

    def _end(self, attempt_id: str) -> AttemptEnd | None:
        """The end of an attempt, with what its newest correction says."""
        end = self._ends.get(attempt_id)
        if end is None or attempt_id not in self._corrections:
            return end
        correction, overrun = self._corrections[attempt_id]
        return replace(
            end,
            cost=correction.cost - overrun,
            overrun=overrun,
            certainty=correction.certainty,
            price_source=correction.source,
        )

    def _hold(self, attempt_id: str) -> Hold:
        return self._attempts[attempt_id][0]._replace(is_open=attempt_id not in self._ends)

    def _open_holds(self) -> Iterator[Hold]:
        return (self._hold(one) for one in self._attempts if one not in self._ends)

    def _record(self, attempt_id: str, *, with_reply: bool) -> AttemptRecord:
        end = self._end(attempt_id)
        if end is not None and with_reply and attempt_id in self._replies:
            end = replace(end, reply=self._replies[attempt_id].body)
        return AttemptRecord(self._attempts[attempt_id][1], end)

    def _select_bodies(
        self, task_ids: Iterable[str], kinds: Sequence[BodyKind]
    ) -> list[tuple[dict[Any, Any], object]]:
        """Where these bodies are: the rows they are among, and their key there."""
        wanted = set(task_ids)
        found: list[tuple[dict[Any, Any], object]] = [
            (self._bodies, key) for key in self._bodies if key[0] in wanted and key[1] in kinds
        ]
        if "reply" in kinds:
            tasks = {one: self._attempts[one][0].task_id for one in self._replies}
            found += [(self._replies, one) for one in self._replies if tasks[one] in wanted]
        if "words" in kinds:
            found += [(self._words, k) for k, one in self._words.items() if one.task_id in wanted]
        return found
