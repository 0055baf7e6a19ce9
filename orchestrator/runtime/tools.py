"""A call of a tool: counted, paid, timed, journaled, and its failure told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core.events import ToolFailed
from orchestrator.core.halt import Halted
from orchestrator.core.money import Money
from orchestrator.ledger.records import PAID_EARLY, WITHDRAWN, AttemptEnd, AttemptIntent, EndKind
from orchestrator.limits.tools import ToolSettings
from orchestrator.memo.readings import note_replay
from orchestrator.pricing.currency import day_of
from orchestrator.runtime.run.context import TOOL_START, running_task
from orchestrator.runtime.run.masking import sentence
from orchestrator.runtime.run.places import Place
from orchestrator.runtime.run.slot import Slot
from orchestrator.runtime.run.task_run import TaskRun
from orchestrator.runtime.shared.engine import mirror
from orchestrator.runtime.spending.booking import AttemptRefused, announce, book, report
from orchestrator.runtime.spending.held import HELD, Held
from orchestrator.runtime.spending.priced import Use, hold, intend
from orchestrator.runtime.storage.bodies import pack

GOVERNED = "orchestrator_governed"
"""In the metadata of LangChain tools whose calls come here."""

UNTIMED_S = 86_400.0
"""How long the hold of a tool without a timeout may outlive its owner, if nobody takes over."""


class ToolTimedOut(TimeoutError):  # noqa: N818 - reads as the state it reports
    """A tool took longer than its rules allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAsk:
    """What is called.

    Attributes:
        name: The tool, as the policy names it.
        arguments: By name.
        own: Its rules where the policy says nothing.
    """

    name: str
    arguments: Mapping[str, Any]
    own: ToolSettings = field(default_factory=ToolSettings)


async def call_tool(ask: ToolAsk, work: Callable[[], Awaitable[Any]]) -> Any:
    """Call a tool under the rules of the running task, or give the result it had here before.

    Raises:
        Halted: If it may not be called within the task's money, time and limits.
        ToolTimedOut: If it takes longer than it may.
        TypeError: If it is journaled and its result is no plain data.
    """
    calling = _Calling.of(ask)
    if calling.known is not None:
        return calling.replayed(calling.known)
    if beginning := calling.begin():
        try:
            await asyncio.wrap_future(mirror(beginning))
        except asyncio.CancelledError:
            calling.leave(beginning)
            raise
        calling.see(beginning)
    with calling.holding():
        timer = asyncio.timeout(calling.settings.timeout_s)
        try:
            async with timer:
                result = await work()
        except TimeoutError:
            if timer.expired():
                raise calling.overdue() from None
            raise
    if ending := calling.finish(result):
        await asyncio.wrap_future(mirror(ending))
        ending.result()
    return result


def call_tool_sync(ask: ToolAsk, work: Callable[[], Any]) -> Any:
    """The same for a tool that is a plain function, on whatever thread it is called.

    One that takes longer than it may is left behind on a thread of its own.

    Raises:
        Halted, ToolTimedOut, TypeError: As :func:`call_tool`.
    """
    calling = _Calling.of(ask)
    if calling.known is not None:
        return calling.replayed(calling.known)
    if beginning := calling.begin():
        calling.see(beginning)
    with calling.holding():
        result = _within(calling, work)
    if ending := calling.finish(result):
        ending.result()
    return result


def _within(calling: _Calling, work: Callable[[], Any]) -> Any:
    seconds = calling.settings.timeout_s
    if seconds is None:
        return work()
    done: Future[Any] = Future()
    context = copy_context()

    def body() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            done.set_exception(error)

    threading.Thread(target=body, name=f"tool {calling.use.name}", daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError:
        if done.done():  # its own, or it ended just now
            return done.result()
        raise calling.overdue() from None


def arguments_digest(arguments: Mapping[str, Any]) -> str:
    """Digest of a tool's arguments: the same in every process, whatever text a model wrote."""
    text = json.dumps(arguments, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    try:
        encoding, body = pack(value)
    except TypeError:
        return type(value).__qualname__
    return [encoding, body.hex()]


def _encode(name: str, result: object) -> bytes:
    """The result as JSON.

    Raises:
        TypeError: If JSON would give something else back.
    """
    try:
        body = json.dumps(result)
        if json.loads(body) == result:
            return body.encode()
    except (TypeError, ValueError):
        pass
    message = (
        f"tool {name!r} is journaled, so it must return text or plain data that JSON gives back "
        f"unchanged, not {type(result).__name__}: return such, or turn `journal` off"
    )
    raise TypeError(message)


@dataclass(slots=True, kw_only=True)
class _Calling:
    """One call on its way."""

    run: TaskRun
    place: Place
    settings: ToolSettings
    use: Use
    known: bytes | None
    call_id: str | None
    slot: Slot = field(default_factory=Slot)
    over: Future[None] = field(default_factory=Future)
    intent: AttemptIntent | None = None
    is_paid: bool = False

    @classmethod
    def of(cls, ask: ToolAsk) -> _Calling:
        """Find the place and the rules of a call, and count it.

        Raises:
            Halted: If a limit refuses it.
        """
        run, start = running_task(), TOOL_START.get()
        place = run.places.here()
        ruled = run.policy.tools[ask.name]
        settings = ruled.over(ask.own)
        digest = arguments_digest(ask.arguments)
        key = place.key(f"tool:{ask.name}", digest)
        known = run.journal.results.get(key) if settings.journal else None
        is_counted = start is not None and start.claim(ask.name)
        if not is_counted and known is None:
            refused = run.tool_may_start(place, f"{ask.name}|{key}")
            if refused is not None:
                raise refused
        today = day_of(run.clock.now())
        use = Use(
            key=key,
            digest=digest,
            step=f"tool:{ask.name}",
            kind="tool",
            name=ask.name,
            # What was paid before a halt inside it is not paid again for going on.
            price=Money.ZERO if run.journal.prepaid[key] else settings.cost(today),
            source="code" if ruled.price is None else ruled.source(today),
        )
        call_id = None if start is None else start.call_id
        return cls(run=run, place=place, settings=settings, use=use, known=known, call_id=call_id)

    def replayed(self, known: bytes) -> Any:
        """The result that it had before."""
        note_replay()
        return json.loads(known)

    def begin(self) -> Future[Any] | None:
        """Hold the price. What is free and not journaled is only noted at its end."""
        seconds = self.settings.timeout_s or UNTIMED_S
        if not self.use.price and not self.settings.journal:
            self.intent = intend(self.run, self.use, seconds)
            announce(self.run, self.intent)
            return None
        return self.run.in_flight.launch(self.slot, self._hold(seconds), self.use.key)

    def see(self, beginning: Future[Any]) -> None:
        """Wait until the price is held.

        Raises:
            Halted: If it cannot be.
        """
        try:
            beginning.result()
        except AttemptRefused as refused:
            raise self.run.refuse(refused.halt, self.place) from None
        self.run.in_flight.attend(self.over)

    def leave(self, beginning: Future[Any]) -> None:
        """Whoever called has gone before it could start: give back what is held."""

        def release(begun: Future[Any]) -> None:
            if not begun.cancelled() and begun.exception() is None:
                self._end(self._ending("released", error=WITHDRAWN))

        self.run.in_flight.withdraw(self.slot)
        beginning.add_done_callback(release)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Run the tool inside; if it raises, that is booked."""
        token = HELD.set(Held(self._pay_now, HELD.get()))
        try:
            yield
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            HELD.reset(token)

    def finish(self, result: Any) -> Future[Any] | None:
        """Book a call that returned, and journal what it returned.

        Raises:
            TypeError: If that is to be journaled and is no plain data.
        """
        try:
            body = _encode(self.use.name, result) if self.settings.journal else None
        except TypeError as error:
            self._fail(error)
            raise
        return self._end(self._ending("settled", cost=self.use.price, reply=body))

    def overdue(self) -> ToolTimedOut:
        """What to raise when its time is over."""
        seconds = self.settings.timeout_s
        return ToolTimedOut(f"tool {self.use.name!r} took longer than the {seconds:g} s it may")

    def _fail(self, error: BaseException) -> None:
        """Book a call that raised. Nobody waits: whoever raises has no time for that.

        One that a halt or a question of its own stopped is not over: it is paid when it is called
        again. Any other may have done what it is paid for.
        """
        from langgraph.errors import GraphBubbleUp  # noqa: PLC0415 - slow to load

        run, why = self.run, sentence(error, self.run.policy)
        if isinstance(error, Halted | GraphBubbleUp):
            self._end(self._ending("released", error=why))
            return
        self._end(self._ending("settled", cost=self.use.price, error=why))
        if isinstance(error, asyncio.CancelledError):
            return
        asker = run.journal.asker(self.call_id)
        step, model = (None, None) if asker is None else (asker[0], asker[1].model)
        run.emit(
            ToolFailed(
                at=run.clock.now(),
                scope=run.scope,
                tool=self.use.name,
                error=why,
                step=step,
                model=model,
            )
        )

    async def _hold(self, seconds: float) -> None:
        self.intent = await hold(self.run, self.use, self.slot, seconds)

    async def _pay_now(self) -> None:
        if self.intent is not None and self.intent.reserve and not self.is_paid:
            self.is_paid = True
            end = self._ending("settled", cost=self.use.price, error=PAID_EARLY)
            await book(self.run, self.intent, end)
            self.run.journal.add_tool(self.use.key, end)

    def _ending(
        self,
        kind: EndKind,
        *,
        cost: Money = Money.ZERO,
        error: str | None = None,
        reply: bytes | None = None,
    ) -> AttemptEnd:
        assert self.intent is not None
        return AttemptEnd(
            attempt_id=self.intent.attempt_id,
            end=kind,
            cost=cost,
            certainty="estimated" if cost and error not in {None, PAID_EARLY} else "known",
            seconds=self.slot.seconds(),
            at=self.run.clock.now(),
            price_source=self.use.source if cost else None,
            error=error,
            reply=reply,
        )

    def _end(self, end: AttemptEnd) -> Future[Any] | None:
        """Have the end written; what is free and not journaled is noted, which nobody awaits."""
        assert self.intent is not None
        if not self.use.price and not self.settings.journal:
            self._note(self.intent, end)
            return None
        return self.run.in_flight.launch(Slot(), self._book(end), self.use.key)

    async def _book(self, end: AttemptEnd) -> None:
        assert self.intent is not None
        try:
            if not self.is_paid:
                self.is_paid = True
                await book(self.run, self.intent, end)
                self.run.journal.add_tool(self.use.key, end)
            else:
                free = intend(self.run, replace(self.use, price=Money.ZERO), 0.0)
                self._note(
                    free,
                    replace(
                        end,
                        attempt_id=free.attempt_id,
                        cost=Money.ZERO,
                        certainty="known",
                        price_source=None,
                    ),
                )
        finally:
            self.over.cancel()

    def _note(self, intent: AttemptIntent, end: AttemptEnd) -> None:
        self.run.ledger.free(intent, end, None)
        self.run.journal.add_tool(self.use.key, end)
        report(self.run, intent, end)
