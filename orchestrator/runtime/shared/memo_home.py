"""Where the memo of an orchestrator lies; nothing of it is made before it is first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from orchestrator.core.clock import Clock
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.events import Event, MemoFaulted
from orchestrator.core.redaction import mask
from orchestrator.core.scope import Scope
from orchestrator.core.sealing import Seal
from orchestrator.memo.entry import Entry
from orchestrator.memo.faults import Fault
from orchestrator.memo.memo import Memo
from orchestrator.memo.store import StoreFault
from orchestrator.models.protocol import Completion
from orchestrator.policy.records import AgentPolicy
from orchestrator.runtime.storage.journal import decode

DIRECTORY = "memo"
MAX_READ = 1_024


class MemoHome:
    """The memo of an orchestrator: in the Redis that the policy names, else beside the ledger.

    That is in ``memo`` in the ledger's directory, and in memory beside one in memory. Beside one on
    PostgreSQL it lies on this machine, and other machines have their own.
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        clock: Clock,
        emit: Callable[[Event], None],
        policy: AgentPolicy,
        scope_here: Callable[[], Scope | None],
        seal: Seal,
    ) -> None:
        """Make nothing yet, but see that it can be made.

        Args:
            directory: Where what belongs to the ledger lies; ``None``: in memory.
            clock: Tells how old an entry is.
            emit: Told when the store fails.
            policy: Says where it lies and how much it may hold, and whose failure one is where no
                task runs.
            scope_here: Whose task runs here, if one does.
            seal: Seals the replies.

        Raises:
            OrchestratorError: If the Redis that the policy names cannot be used as it is named.
        """
        self._clock = clock
        self._emit = emit
        self._seal = seal
        self._scope_here = scope_here
        self._home = Scope(
            org=policy.org, team=policy.team, agent="", task_id="", tenant=policy.team
        )
        self._address = _address(policy.memo_store, directory)
        self._limits = policy.memo_limits
        self._memo: Memo | None = None
        self._read: dict[str, tuple[bytes, Completion]] = {}
        self._lock = threading.Lock()

    def get(self) -> Memo:
        """The memo. It opens its store with its first use; one that cannot be opened is a miss."""
        if self._memo is not None:
            return self._memo
        with self._lock:
            if self._memo is None:
                self._memo = self._made()
            return self._memo

    def reply_of(self, entry: Entry) -> Completion:
        """The reply of a model's entry; these very bytes are not read again.

        Raises:
            ValueError: If it cannot be read.
        """
        known = self._read.get(entry.key)
        if known is not None and known[0] is entry.reply:
            return known[1]
        reply = decode(entry.reply)
        if len(self._read) >= MAX_READ:
            self._read = {}
        self._read[entry.key] = (entry.reply, reply)
        return reply

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._memo is not None:
            await self._memo.aclose()

    def _made(self) -> Memo:
        if self._address is None:
            from orchestrator.memo.memory_store import MemoryStore  # noqa: PLC0415 - if used

            return Memo(MemoryStore(), clock=self._clock, on_fault=self._report, seal=self._seal)
        from orchestrator.memo.address import store_at  # noqa: PLC0415 - only when used

        store = store_at(self._address, self._limits)
        return Memo(store, clock=self._clock, on_fault=self._report, seal=self._seal)

    def _report(self, fault: Fault) -> None:
        scope = self._scope_here() or self._home
        self._emit(MemoFaulted(at=self._clock.now(), scope=scope, error=mask(fault.message)))


def _address(named: str | None, directory: Path | None) -> Path | str | None:
    """Where the memo lies; ``None``: in memory."""
    if named is None:
        return None if directory is None else directory / DIRECTORY
    from orchestrator.memo.address import store_at  # noqa: PLC0415 - only when used

    kind, _, variable = named.partition(":")
    address = os.environ.get(variable, "") if kind == "env" else named
    if "://" not in address:
        message = f"memo_store: set the environment variable {variable} to redis://host:6379/0"
        raise OrchestratorError(message)
    try:
        store_at(address)
    except (StoreFault, ValueError) as error:
        message = f"memo_store: {error}"
        raise OrchestratorError(message) from error
    return address
