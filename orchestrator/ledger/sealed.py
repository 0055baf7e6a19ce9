"""A ledger whose bodies are sealed: inputs, replies, results of tools, outputs, questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from orchestrator.core.clock import Clock
from orchestrator.core.money import Money
from orchestrator.core.sealing import Seal
from orchestrator.ledger.lessons import Lesson
from orchestrator.ledger.records import (
    AttemptEnd,
    AttemptIntent,
    AttemptRecord,
    Decision,
    TaskClosing,
    TaskHistory,
    TaskOpening,
    TaskRecord,
)
from orchestrator.ledger.remembered import Remembered
from orchestrator.ledger.stored import StoredLedger
from orchestrator.ledger.stores.store import Store

_UNTOLD = "The graph asks; its question is encrypted, resume to see it."


class SealedLedger(StoredLedger):
    """Seals bodies on their way in, opens them on their way out; facts stay as they are.

    What reads bodies raises ``EncryptionError`` if it cannot open them.
    """

    def __init__(
        self, store: Store, clock: Clock, *, seal: Seal, keep_bodies: timedelta | None = None
    ) -> None:
        """As :class:`StoredLedger`, with ``seal``."""
        super().__init__(store, clock, keep_bodies=keep_bodies)
        self._seal = seal

    async def open_task(self, opening: TaskOpening) -> int:
        """Record a new task, its input sealed."""
        body = self._seal.close(opening.input_body)
        return await super().open_task(replace(opening, input_body=body))

    async def take_over(
        self,
        task_id: str,
        *,
        owner: str,
        add_budget: Money = Money.ZERO,
        extend: Mapping[str, float] | None = None,
    ) -> TaskRecord:
        """Take a task over, its bodies opened."""
        return self._opened(
            await super().take_over(task_id, owner=owner, add_budget=add_budget, extend=extend)
        )

    async def task(self, task_id: str) -> TaskRecord | None:
        """The task, its bodies opened."""
        record = await super().task(task_id)
        return None if record is None else self._opened(record)

    async def history(self, task_id: str) -> TaskHistory:
        """All that is known of a task's attempts, their replies opened."""
        history = await super().history(task_id)
        attempts = tuple(
            one
            if one.end is None or one.end.reply is None
            else AttemptRecord(one.intent, replace(one.end, reply=self._seal.open(one.end.reply)))
            for one in history.attempts
        )
        return replace(history, attempts=attempts)

    async def end(self, end: AttemptEnd) -> None:
        """Resolve an intent, its reply sealed."""
        await super().end(self._sealed(end))

    def hit(self, hit: Remembered) -> None:
        """Note that a memo answered, its reply sealed."""
        if hit.reply is not None and self._seal.is_set:
            hit = hit._replace(reply=self._seal.close(hit.reply))
        super().hit(hit)

    def free(self, intent: AttemptIntent, end: AttemptEnd, decision: Decision | None) -> None:
        """Note what was free, its reply sealed."""
        super().free(intent, self._sealed(end), decision)

    def note(self, lessons: Sequence[Lesson]) -> None:
        """Note what is to be learned from, without what was asked where that is sealed."""
        super().note(self._untold(lessons))

    async def teach(self, lessons: Sequence[Lesson]) -> None:
        """The same as :meth:`note`, durable when it returns."""
        await super().teach(self._untold(lessons))

    async def close_task(self, closing: TaskClosing) -> None:
        """Record how a run returned, its output sealed and its question left to the checkpoint."""
        if closing.output is not None:
            encoding, body = closing.output
            closing = replace(closing, output=(encoding, self._seal.close(body)))
        if self._seal.is_set and closing.halt is not None and closing.halt.reason == "question":
            closing = replace(closing, halt=replace(closing.halt, detail=_UNTOLD))
        await super().close_task(closing)

    def _sealed(self, end: AttemptEnd) -> AttemptEnd:
        if end.reply is None or not self._seal.is_set:
            return end
        return replace(end, reply=self._seal.close(end.reply))

    def _untold(self, lessons: Sequence[Lesson]) -> Sequence[Lesson]:
        return [replace(one, words={}) for one in lessons] if self._seal.is_set else lessons

    def _opened(self, record: TaskRecord) -> TaskRecord:
        opening = record.opening
        output = record.output and (record.output[0], self._seal.open(record.output[1]))
        opening = replace(opening, input_body=self._seal.open(opening.input_body))
        return replace(record, opening=opening, output=output)
