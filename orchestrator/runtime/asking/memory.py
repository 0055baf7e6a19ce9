"""One ask and the memo: what it takes from there, and what it gives."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from orchestrator.core.events import MemoServed
from orchestrator.core.ids import new_attempt_id
from orchestrator.core.money import Money
from orchestrator.ledger.records import Decision
from orchestrator.ledger.remembered import Remembered
from orchestrator.memo.ask import Ask, Hit, Lease
from orchestrator.memo.entry import Answer, Needs
from orchestrator.memo.key import model_content
from orchestrator.memo.readings import note_readings, note_unknown
from orchestrator.memo.tools import TOOLS, ToolBinding, ToolRules
from orchestrator.routing.checks import complete, function, judge
from orchestrator.runtime.asking.judging import Judged
from orchestrator.runtime.run.labels import labels_of, note
from orchestrator.runtime.run.places import Place
from orchestrator.runtime.run.request import AskRequest
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.storage.journal import JournaledReply, encode


@dataclass(slots=True)
class Memory:
    """What an ask has of the memo: an entry to take, or a lease that has to be settled.

    Whoever asks the same meanwhile waits for the lease. Leaving the context gives it back, so that
    one of them asks instead, unless the answer was offered with :meth:`keep`.

    Attributes:
        run: The task.
        request: What it asks.
        place: Where.
        key: The journal key.
        ask: What the memo was asked last.
        hit: What it gave last.
    """

    run: TaskRun
    request: AskRequest
    place: Place
    key: str
    ask: Ask | None = None
    hit: Hit | None = None
    _lease: Lease | None = None
    _since: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what was not used."""
        if self._lease is not None:
            self.run.services.memos.get().release(self._lease)

    async def recall(self) -> JournaledReply | None:
        """The reply that is remembered, perhaps after waiting for one who asks the same just now.

        Asked again, after a check refused that reply: a newer one. Without any, this ask holds the
        lease, so that of all whose checks refuse it one asks at a time.

        Raises:
            Halted: If the task halted meanwhile.
        """
        run = self.run
        ask = self.ask = self._ask()
        if ask is None or run.stopped():
            return None
        memo = run.services.memos.get()
        try:
            found = await memo.lookup(ask, waiting=run.halting.until)
            while isinstance(found, Hit):
                if taken := self._taken(found):
                    return taken
                again = ask._replace(refused=found.entry)
                found = await memo.lookup(again, waiting=run.halting.until)
        except TimeoutError:
            raise run.refuse(run.halt_or_timeout(self.request.step), self.place) from None
        self._lease = found.lease
        self._since = time.monotonic()
        return None

    def _ask(self) -> Ask | None:
        run, request = self.run, self.request
        settings = run.policy.memos[request.step]
        labels = labels_of(run) | request.labels
        note(run, labels if settings is None else labels | {settings.share})
        if settings is None:
            return None
        step = run.policy.steps[request.step]
        # A judgement is not made anew for a hit, so there must have been one.
        needed = [judge.NAME] if step.judge is not None else []
        needed += [function.NAME] if request.check else []
        return Ask(
            scope=run.scope,
            step=request.step,
            settings=settings,
            content=model_content(
                request.messages,
                tools=request.tools,
                schema=request.schema,
                parameters=request.parameters,
            ),
            content_digest=request.digest,
            # What the step itself would take without any evidence, it takes from the memo too.
            needs=Needs(step.confidence, frozenset(needed), evidence=False),
            labels=labels,
            policy_version=run.policy.version_of(request.step),
            prompt_version=request.prompt_version,
            draw=f"{run.scope.task_id} {self.key}",
            refused=None if self.hit is None else self.hit.entry,
        )

    async def recall_expired(self) -> JournaledReply | None:
        """The reply that may still answer now that every model failed (``stale_if_error``)."""
        found = self.run.services.memos.get().if_error(self._lease) if self._lease else None
        if found is None or (self.hit is not None and self.hit.entry == found.entry):
            return None
        return self._taken(found)

    def book(self, judged: Judged, decision: Decision) -> None:
        """Write the hit into the ledger, in a row of its own, and into the task's journal."""
        assert self.hit is not None
        run, paid, entry = self.run, judged.paid, self.hit.entry
        if entry.labels:
            note(run, entry.labels)
        if entry.reads:
            note_readings(entry.reads)
        run.journal.add(self.key, paid)
        run.ledger.hit(
            Remembered(
                attempt_id=paid.attempt_id,
                task_id=run.scope.task_id,
                epoch=run.epoch,
                key=self.key,
                request_hash=self.request.digest,
                step=self.request.step,
                model=paid.model,
                at=decision.at,
                saved=entry.cost,
                saved_seconds=entry.seconds,
                served_model=paid.completion.served_model,
                reply=entry.reply,
                decision=decision,
            )
        )
        _tell(run, self.hit, self.request.step, paid.model)

    async def keep(self, judged: Judged, cost: Money) -> None:
        """Offer the reply that answered; the memo decides whether it is worth keeping.

        Best effort: nothing here fails the ask, which has its answer.
        """
        if self._lease is None:
            note_unknown(() if self.ask is None else self.ask.settings.reads)
            return
        # An expired entry that answered because the models failed is not fresh again by that.
        if judged.paid.from_memo:
            return
        note_readings(self._lease.reads())
        answer = answer_of(judged, cost, seconds=time.monotonic() - self._since)
        await self.run.services.memos.get().put(self._lease, answer)

    def _taken(self, hit: Hit) -> JournaledReply | None:
        """The reply of a hit; ``None`` if it cannot be read."""
        self.hit = hit
        try:
            completion = self.run.services.memos.reply_of(hit.entry)
        except ValueError:
            self.run.services.memos.get().unreadable(hit.entry)
            return None
        return JournaledReply(
            new_attempt_id(),
            hit.entry.model,
            completion,
            Money.ZERO,
            from_memo=True,
            checks=dict.fromkeys(hit.entry.checks, True),
        )


def answer_of(judged: Judged, cost: Money, *, seconds: float) -> Answer:
    """A judged reply as it is offered to the memo."""
    paid, verdict = judged.paid, judged.verdict
    usage = paid.completion.usage
    return Answer(
        reply=encode(paid.completion),
        model=paid.model,
        complete=verdict.passed.get(complete.NAME, False),
        confidence=verdict.confidence,
        confidence_state=verdict.confidence_state,
        checks=verdict.passed,
        cost=cost,
        tokens=usage.total_tokens if usage else 0,
        seconds=seconds,
    )


def bind_memoized_tools(run: TaskRun) -> None:
    """Let the memoized tools that this context calls know for whom they are called."""

    def told(rules: ToolRules, hit: Hit | None) -> None:
        if hit is not None:
            _book_tool(run, rules, hit)

    @asynccontextmanager
    async def waiting() -> AsyncIterator[None]:
        try:
            async with run.halting.until():
                yield
        except TimeoutError:
            raise run.refuse(run.halt_or_timeout(None), run.places.here()) from None

    TOOLS.set(
        ToolBinding(
            memo=run.services.memos.get,
            scope=run.scope,
            labels=lambda: labels_of(run),
            note=lambda labels: note(run, labels),
            waiting=waiting,
            on_result=told,
        )
    )


def _book_tool(run: TaskRun, rules: ToolRules, hit: Hit) -> None:
    """Write the hit of a tool into the ledger; the tool is called again on a resume."""
    attempt_id, entry = new_attempt_id(), hit.entry
    run.ledger.hit(
        Remembered(
            attempt_id=attempt_id,
            task_id=run.scope.task_id,
            epoch=run.epoch,
            key=attempt_id,
            request_hash=entry.key,
            step=rules.name,
            model=rules.name,
            at=run.clock.now(),
            saved=entry.cost,
            saved_seconds=entry.seconds,
        )
    )
    _tell(run, hit, rules.name, rules.name)


def _tell(run: TaskRun, hit: Hit, step: str, model: str) -> None:
    if run.services.is_heard:
        run.emit(
            MemoServed(
                at=run.clock.now(),
                scope=run.scope,
                step=step,
                model=model,
                state=hit.state,
                age_s=hit.age_s,
                saved=hit.entry.cost,
            )
        )
