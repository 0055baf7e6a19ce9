"""Read-only tools through the memo.

``@memoized_tool`` says what a tool reads and who may share its results. It needs a running task to
know who asks: the runtime binds one with :func:`bind_tools`; without it the tool is simply called.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast

import orjson

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit, Miss
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import STRICT, is_plain, tool_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.readings import gathered, note_readings, note_unknown
from orchestrator.memo.settings import MemoSettings
from orchestrator.memo.sharing import Share

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRules:
    """How the results of one tool are memoized.

    Attributes:
        name: The tool; part of the key.
        settings: The memo's rules.
        version: To be changed with what the tool does.
        price: What one call costs, and a hit saves.
        labels: Labels of a result, by the arguments of the call.
    """

    name: str
    settings: MemoSettings
    labels: Callable[[Mapping[str, Any]], frozenset[str]] = lambda _arguments: frozenset()
    version: str = ""
    price: Money = Money.ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBinding:
    """Who calls tools here, and through which memo.

    Attributes:
        memo: The memo, or what gives it once a memoized tool is called.
        scope: The running task's scope.
        labels: Gives the labels of what the task was given so far.
        note: Told the labels of what it is given now.
        waiting: A context in which to wait for another call of the same; it may end the wait.
        on_result: Told of each call's rules and of its hit, or ``None`` if the tool was called.
    """

    memo: Memo | Callable[[], Memo]
    scope: Scope
    labels: Callable[[], frozenset[str]] = frozenset
    note: Callable[[frozenset[str]], None] = lambda _labels: None
    waiting: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext
    on_result: Callable[[ToolRules, Hit | None], None] = lambda _rules, _hit: None

    def opened(self) -> Memo:
        """The memo."""
        return self.memo if isinstance(self.memo, Memo) else self.memo()


TOOLS: ContextVar[ToolBinding | None] = ContextVar("orchestrator_tools", default=None)
"""Who calls tools here; :func:`bind_tools` sets it for a block."""


@contextlib.contextmanager
def bind_tools(binding: ToolBinding) -> Iterator[None]:
    """Send the calls of memoized tools in this context through a memo."""
    token = TOOLS.set(binding)
    try:
        yield
    finally:
        TOOLS.reset(token)


def memoized_tool(
    *,
    fresh_for: timedelta | float,
    reads: tuple[str, ...] = (),
    share: Share = "user",
    name: str | None = None,
    version: str = "",
    price: Money = Money.ZERO,
    labels: Iterable[str] | Callable[..., Iterable[str]] = (),
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Memoize a read-only tool: same arguments, same result, while it is fresh.

    A result is kept only if JSON gives it back unchanged, so a hit is never another kind of thing
    than a call; any other result is passed on and not kept. What a tool raises is never kept.

    Args:
        fresh_for: How long a result answers; a number is seconds.
        reads: Names of the sources the tool reads.
        share: Who else may be given a result.
        name: The tool's name in the key; its module and name unless given. Tools that are made in a
            function, with something in mind that is no argument of theirs, need one each.
        version: To be changed with what the tool does.
        price: What one call costs.
        labels: What a result is labelled as, as in :meth:`Step.ask`; or a function of the call's
            arguments, by name, that says so.

    Raises:
        ValueError: If the tool has no name of its own and uses variables of a function around it:
            what it was made with would not be in the key.
    """
    seconds = fresh_for.total_seconds() if isinstance(fresh_for, timedelta) else fresh_for
    settings = MemoSettings(fresh_for_s=seconds, reads=reads, share=share)

    def labelled(arguments: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(labels(**arguments) if callable(labels) else labels)

    def decorate(tool: Callable[_P, _R]) -> Callable[_P, _R]:
        rules = ToolRules(
            name=name or _name_of(tool),
            settings=settings,
            version=version,
            price=price,
            labels=labelled,
        )
        return _through_memo(tool, rules)

    return decorate


def _through_memo(tool: Callable[_P, _R], rules: ToolRules) -> Callable[_P, _R]:
    """The tool, asking the memo first where a task is bound."""
    signature = inspect.signature(tool)

    def arguments(*args: _P.args, **kwargs: _P.kwargs) -> Mapping[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    if inspect.iscoroutinefunction(tool):

        @functools.wraps(tool)
        async def call_async(*args: _P.args, **kwargs: _P.kwargs) -> object:
            binding = TOOLS.get()
            if binding is None:
                return await tool(*args, **kwargs)
            return await call_memoized(
                binding, rules, arguments(*args, **kwargs), lambda: tool(*args, **kwargs)
            )

        return cast("Callable[_P, _R]", call_async)

    @functools.wraps(tool)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        binding = TOOLS.get()
        # On a thread that runs an event loop there is no way to wait for another's result.
        if binding is None:
            return tool(*args, **kwargs)
        if _loop_runs_here():
            binding.note(rules.labels(arguments(*args, **kwargs)) | {rules.settings.share})
            note_unknown(rules.settings.reads)
            return tool(*args, **kwargs)

        async def once() -> _R:
            # Off this loop, so that tools that it calls find the memo too.
            return await asyncio.to_thread(tool, *args, **kwargs)

        found = call_memoized(binding, rules, arguments(*args, **kwargs), once)
        return cast("_R", asyncio.run(found))

    return call


async def call_memoized(
    binding: ToolBinding,
    rules: ToolRules,
    arguments: Mapping[str, Any],
    call: Callable[[], Awaitable[object]],
) -> object:
    """The tool's result, from the memo or from a call.

    Args:
        binding: Who calls.
        rules: The tool's rules.
        arguments: Its arguments by name, defaults included.
        call: Calls it.
    """
    labels = binding.labels() | rules.labels(arguments)
    binding.note(labels | {rules.settings.share})
    ask = Ask(
        scope=binding.scope,
        step=rules.name,
        settings=rules.settings,
        content=tool_content(arguments),
        kind="tool",
        labels=labels,
        prompt_version=rules.version,
    )
    memo = binding.opened()
    found = await memo.lookup(ask, waiting=binding.waiting)
    while isinstance(found, Hit):
        try:
            result: object = orjson.loads(found.entry.reply)
        except ValueError:
            memo.unreadable(found.entry)
            again = ask._replace(refused=found.entry)
            found = await memo.lookup(again, waiting=binding.waiting)
        else:
            binding.note(found.entry.labels)
            note_readings(found.entry.reads)
            binding.on_result(rules, found)
            return result
    return await _call(binding, rules, found, call)


async def _call(
    binding: ToolBinding, rules: ToolRules, miss: Miss, call: Callable[[], Awaitable[object]]
) -> object:
    started = time.perf_counter()
    if miss.lease is None:
        note_unknown(rules.settings.reads)
    else:
        note_readings(miss.lease.reads())
    readings: dict[str, str] = {}
    try:
        with gathered() as readings:
            result = await call()
        binding.on_result(rules, None)
        if miss.lease is not None:
            body = _encode(result)
            answer = Answer(
                reply=body or b"",
                model=rules.name,
                complete=body is not None,
                cost=rules.price,
                seconds=time.perf_counter() - started,
                reads=readings,
                # What came to light meanwhile may be in it.
                labels=binding.labels() - miss.lease.ask.labels - {rules.settings.share},
            )
            await binding.opened().put(miss.lease, answer)
        return result
    finally:
        note_readings(readings)
        binding.opened().release(miss.lease)


def _name_of(tool: Callable[..., object]) -> str:
    code = getattr(inspect.unwrap(tool), "__code__", None)
    if code is not None and code.co_freevars:
        message = (
            f"{tool.__qualname__} uses {', '.join(code.co_freevars)} from around it, which its key "
            "does not show, so two such tools would answer for each other: pass it as an "
            "argument, or give each a name= of its own"
        )
        raise ValueError(message)
    return f"{tool.__module__}.{tool.__qualname__}"


def _encode(result: object) -> bytes | None:
    """The result as JSON, or ``None`` if JSON would give something else back."""
    try:
        body = orjson.dumps(result, option=STRICT)
    except TypeError:
        return None
    is_same = is_plain(result, is_sent=False) and orjson.loads(body) == result
    return body if is_same else None


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
