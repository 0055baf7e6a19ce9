"""What one task has done, against its own limits."""

from __future__ import annotations

from typing import Literal

from orchestrator.core.halt import Count, Halt
from orchestrator.ledger.records import TaskHistory
from orchestrator.limits.settings import CountedLimit, LimitSettings
from orchestrator.limits.tools import entry_of

MarkKind = Literal["steps", "tool_calls"]
MARK_KINDS: tuple[MarkKind, ...] = ("steps", "tool_calls")

# A task id and a key in that task: tasks of one tree may use the same keys.
Key = tuple[str, str]
# A step and a request hash.
Ask = tuple[str, str]


class Tally:
    """The counts of one task and all tasks inside it. Not safe across threads: :class:`Gauge` is.

    Node executions, tool calls and asks are sets of keys, so that what runs again counts once.
    """

    def __init__(self, task_id: str, settings: LimitSettings) -> None:
        """Start at zero."""
        self._task_id = task_id
        self._settings = settings
        self._model_calls = 0
        self._tokens = 0
        self._marks: dict[MarkKind, set[Key]] = {kind: set() for kind in MARK_KINDS}
        self._asks: dict[Ask, set[Key]] = {}

    def restore(self, task_id: str, history: TaskHistory) -> None:
        """Count what the ledger knows of a task."""
        for attempt in history.attempts:
            intent = attempt.intent
            if attempt.is_hit:
                self.count_ask((intent.step, intent.request_hash), (task_id, intent.key))
            elif attempt.was_sent:
                self.count_attempt((intent.step, intent.request_hash), (task_id, intent.key))
                self.count_tokens(attempt.tokens)
        for kind in MARK_KINDS:
            self._marks[kind].update((task_id, key) for key in history.marks.get(kind, ()))

    def refuse_attempt(self, ask: Ask, key: Key) -> Halt | None:
        """Why an attempt may not start; ``None`` if it may."""
        step = ask[0]
        return (
            self._reached("model_calls", self._model_calls, step)
            or self._reached("tokens", self._tokens, step)
            or self.refuse_ask(ask, key)
        )

    def refuse_ask(self, ask: Ask, key: Key) -> Halt | None:
        """Why the same may not be asked once more, whoever answers; ``None`` if it may."""
        asked = self._asks.get(ask, ())
        return None if key in asked else self._reached("repeats", len(asked), ask[0])

    def count_attempt(self, ask: Ask, key: Key) -> None:
        """Count an attempt that starts."""
        self._model_calls += 1
        self.count_ask(ask, key)

    def count_ask(self, ask: Ask, key: Key) -> None:
        """Count an ask, once however many attempts it takes."""
        self._asks.setdefault(ask, set()).add(key)

    def uncount_attempt(self) -> None:
        """Take back one attempt that did not start."""
        self._model_calls -= 1

    def count_tokens(self, tokens: int) -> None:
        """Count tokens that were used."""
        self._tokens += tokens

    def refuse_mark(self, kind: MarkKind, key: Key) -> Halt | None:
        """Why a node or a tool may not run; ``None`` if it may."""
        marks = self._marks[kind]
        if key in marks:
            return None
        halt = self._reached(kind, len(marks), None)
        return self._tool_reached(tool_of(key)) if halt is None and kind == "tool_calls" else halt

    def count_mark(self, kind: MarkKind, key: Key) -> None:
        """Count a node or a tool that runs, once however often it does."""
        self._marks[kind].add(key)

    def left(self, name: Literal["model_calls", "tool_calls", "tokens", "steps"]) -> int | None:
        """What is left of a limit; ``None`` if there is none."""
        limit: int | None = getattr(self._settings, name)
        if limit is None:
            return None
        match name:
            case "model_calls":
                count = self._model_calls
            case "tokens":
                count = self._tokens
            case _:
                count = len(self._marks[name])
        return max(0, limit - count)

    def _tool_reached(self, tool: str) -> Halt | None:
        limits = self._settings.tools
        entry = entry_of(tool, limits)
        if entry is None:
            return None
        called = map(tool_of, self._marks["tool_calls"])
        count, limit = sum(entry_of(one, limits) == entry for one in called), limits[entry]
        if count < limit:
            return None
        return Halt(
            reason="tool_calls",
            scope="task",
            limit=Count(limit, f"calls of {entry}"),
            spent=Count(count, f"calls of {entry}"),
            step=f"tool:{tool}",
            holder=self._task_id,
            detail=(
                f"The task has used {count} of {limit} calls of {entry!r}; resume with "
                f"extend={{'tool_calls': {_suggestion(limit)}}} or more."
            ),
        )

    def _reached(self, name: CountedLimit, count: int, step: str | None) -> Halt | None:
        limit: int | None = getattr(self._settings, name)
        if limit is None or count < limit:
            return None
        unit = name.replace("_", " ")
        what = (
            f"Step {step!r} has asked the same request {count} times"
            if name == "repeats"
            else f"The task has used {count} of {limit} {unit}"
        )
        return Halt(
            reason=name,
            scope="task",
            limit=Count(limit, unit),
            spent=Count(count, unit),
            step=step,
            holder=self._task_id,
            detail=f"{what}; resume with extend={{{name!r}: {_suggestion(limit)}}} or more.",
        )


def tool_of(key: Key) -> str:
    """The tool that a mark of ``tool_calls`` names: its key is ``TOOL|DIGEST``."""
    return key[1].rpartition("|")[0]


def _suggestion(limit: int) -> int:
    """A useful extension to propose: half as much again."""
    return max(1, limit // 2)
