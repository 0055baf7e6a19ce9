"""The unit of work: what was loaded from a store, and what is going to be written to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import Account, AttemptEnd, AttemptIntent, Balance, Decision
from orchestrator.ledger.stores.rows import (
    AccountRow,
    Changes,
    Hold,
    Reply,
    TaskState,
    Wanted,
    to_us,
)
from orchestrator.ledger.stores.store import Store


class UnitOfWork:
    """Each row is loaded once, and written once per transaction, however many operations share it.

    The store is locked while a unit of work writes, so what was loaded stays true until the commit,
    and beyond it until somebody else writes. One that was rolled back is of no further use.

    Attributes:
        freed: Keys of accounts on which an attempt ended: those who wait there are judged again.
        stopped: Ids of tasks whose owner may no longer act: their waiters are judged again.
    """

    def __init__(self, store: Store) -> None:
        """Start with nothing loaded."""
        self._store = store
        self._tasks: dict[str, TaskState | None] = {}
        self._accounts: dict[str, AccountRow | None] = {}
        self._accounts_by_id: dict[int, AccountRow] = {}
        self._holds: dict[str, Hold | None] = {}
        self._next_seq = 0
        self._changes = Changes()
        self._dirty = False
        self.freed: set[str] = set()
        self.stopped: set[str] = set()

    def __len__(self) -> int:
        """How many rows it remembers."""
        return len(self._tasks) + len(self._accounts) + len(self._holds)

    def missing(self, wanted: Wanted) -> Wanted:
        """Those that are not loaded yet."""
        # One by one: a set without a dictionary's keys walks through all that is remembered.
        return Wanted(
            tasks={task_id for task_id in wanted.tasks if task_id not in self._tasks},
            accounts={key for key in wanted.accounts if key not in self._accounts},
            holds={attempt_id for attempt_id in wanted.holds if attempt_id not in self._holds},
        )

    def load(self, wanted: Wanted) -> None:
        """Load rows ahead of their use, in one go, but those that are loaded already."""
        wanted = self.missing(wanted)
        if not wanted:
            return
        loaded = self._store.load(wanted)
        for task_id in wanted.tasks:
            self._tasks[task_id] = loaded.tasks.get(task_id)
        for row in loaded.accounts.values():
            self._cache(row)
        for key in wanted.accounts:
            self._accounts.setdefault(key, None)
        for attempt_id in wanted.holds:
            self._holds[attempt_id] = loaded.holds.get(attempt_id)

    def task(self, task_id: str) -> TaskState | None:
        """The present state of a task."""
        if task_id not in self._tasks:
            self.load(Wanted(tasks={task_id}))
        return self._tasks[task_id]

    def account(self, account: Account) -> AccountRow:
        """The sums of an account that was asked for by :meth:`load`.

        One that was never booked on starts with what its holder already spent in its window. It is
        stored with its first booking only, so that judging writes nothing.
        """
        row = self._accounts[account.key]
        if row is None:
            settled, overrun = self.flushed().spent(account)
            row = AccountRow(account_id=0, key=account.key, settled=settled, overrun=overrun)
        return row

    def balances(self, accounts: Sequence[Account]) -> list[Balance]:
        """The balance of each account, in order, of those that were never booked on too."""
        self.load(Wanted(accounts={account.key for account in accounts}))
        return [self.account(account).balance() for account in accounts]

    def hold(self, attempt_id: str) -> Hold | None:
        """An attempt that was asked for by :meth:`load`, open or ended."""
        return self._holds[attempt_id]

    def set_task(self, task_id: str, state: TaskState) -> None:
        """Remember the state that was just written to the store."""
        self._tasks[task_id] = state

    def open_account(self, account: Account, row: AccountRow) -> AccountRow:
        """Store an account that is not, so that it can be booked on."""
        row = self.flushed().insert_account(account, row)
        self._cache(row)
        return row

    def add_intent(
        self, intent: AttemptIntent, rows: Iterable[AccountRow], *, expires_at_us: int
    ) -> None:
        """Write an intent that holds these accounts until then at the latest."""
        if not self._next_seq:
            self._next_seq = self._store.next_seq()
        hold = Hold(
            seq=self._next_seq,
            attempt_id=intent.attempt_id,
            task_id=intent.task_id,
            epoch=intent.epoch,
            reserve=intent.reserve.nano,
            account_ids=tuple([row.account_id for row in rows]),
            at_us=to_us(intent.at),
            expires_at_us=expires_at_us,
            is_open=True,
        )
        self._next_seq += 1
        self._holds[intent.attempt_id] = hold
        self._changes.intents.append((hold, intent))
        self._dirty = True

    def add_end(self, hold: Hold, end: AttemptEnd) -> list[AccountRow]:
        """Write the end of an open attempt, and return the accounts it held, to be booked on."""
        rows = self.accounts_of(hold)
        self._holds[hold.attempt_id] = hold.ended()
        self._changes.ends.append((hold, end))
        self._dirty = True
        self.freed.update([row.key for row in rows])
        return rows

    def book(self, rows: Iterable[AccountRow]) -> None:
        """Write these sums, which were changed."""
        for row in rows:
            self._changes.accounts[row.account_id] = row
        self._dirty = True

    def accounts_of(self, hold: Hold) -> list[AccountRow]:
        """The accounts an attempt counts on, open or ended."""
        missing = [one for one in hold.account_ids if one not in self._accounts_by_id]
        if missing:
            for row in self.flushed().accounts_with(missing):
                self._cache(row)
        return [self._accounts_by_id[account_id] for account_id in hold.account_ids]

    def add_reply(self, reply: Reply) -> None:
        """Write the reply of an attempt."""
        self._changes.replies.append(reply)
        self._dirty = True

    def add_mark(self, task_id: str, kind: str, key: str) -> None:
        """Write a mark, unless it is there."""
        self._changes.marks.append((task_id, kind, key))
        self._dirty = True

    def add_decision(self, decision: Decision) -> None:
        """Write a decision."""
        self._changes.decisions.append(decision)
        self._dirty = True

    def add_lessons(self, lessons: Iterable[Lesson]) -> None:
        """Write what is to be learned from."""
        self._changes.lessons += lessons
        self._dirty = True

    def flushed(self) -> Store:
        """The store itself, for what is rare, with all changes so far written to it."""
        if self._dirty:
            self._store.write(self._changes)
            self._changes = Changes()
            self._dirty = False
        return self._store

    def _cache(self, row: AccountRow) -> None:
        if row.account_id not in self._accounts_by_id:
            self._accounts_by_id[row.account_id] = row
            self._accounts[row.key] = row
