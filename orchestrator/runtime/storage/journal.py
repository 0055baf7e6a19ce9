"""What a task has already been answered, so that it is never paid twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from orchestrator.core.money import Money
from orchestrator.ledger.records import PAID_EARLY, AttemptEnd, Decision, TaskHistory
from orchestrator.models.protocol import Completion, ToolCall

_NO_REPLY = "these bytes are no reply"


class JournaledReply(NamedTuple):
    """A reply with the attempt that paid for it, or the hit that saved one.

    Attributes:
        attempt_id: The attempt, or the hit.
        model: The policy's name of the model that answered.
        completion: What it answered.
        cost: What that cost.
        from_memo: Whether it was remembered.
        from_person: Whether a person gave it.
        checks: Of one that was remembered: what it had passed when it was paid for.
    """

    attempt_id: str
    model: str
    completion: Completion
    cost: Money
    from_memo: bool = False
    from_person: bool = False
    checks: Mapping[str, bool] = MappingProxyType({})


def encode(completion: Completion) -> bytes:
    """Write a reply as JSON; the token counts stand in the ledger already.

    Models do write lone surrogates, which are no text and yet were paid for: they are kept too.
    """
    fields: dict[str, Any] = {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "tool_calls": [[call.id, call.name, call.arguments] for call in completion.tool_calls],
        "served_model": completion.served_model,
    }
    if completion.logprobs:
        fields["logprobs"] = [round(one, 4) for one in completion.logprobs]
    return json.dumps(fields, ensure_ascii=False).encode(errors="surrogatepass")


def decode(body: bytes) -> Completion:
    """Read what :func:`encode` wrote.

    Raises:
        ValueError: If it is anything else.
    """
    try:
        fields = _parsed(body)
        match fields:
            case {
                "text": str(text),
                "finish_reason": str(reason),
                "tool_calls": list(calls),
                "served_model": str() | None as served_model,
            }:
                return Completion(
                    text=text,
                    finish_reason=reason,
                    tool_calls=tuple(map(_tool_call, calls)),
                    served_model=served_model,
                    logprobs=_logprobs(fields.get("logprobs", [])),
                )
    except RecursionError as error:
        raise ValueError(_NO_REPLY) from error
    raise ValueError(_NO_REPLY)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # not so fast, but it knows lone surrogates
        return json.loads(body.decode(errors="surrogatepass"))


def _tool_call(call: object) -> ToolCall:
    match call:
        case [str(called), str(name), str(arguments)]:
            return ToolCall(called, name, arguments)
    raise ValueError(_NO_REPLY)


def _logprobs(told: object) -> tuple[float, ...]:
    if isinstance(told, list) and all(isinstance(one, float | int) for one in told):
        return tuple(told)
    raise ValueError(_NO_REPLY)


@dataclass(slots=True)
class Journal:
    """The replies of one task in memory; the ledger holds the same, durably.

    Attributes:
        replies: By journal key, in the order they were paid.
        decisions: Which of them answered, by journal key.
        results: What journaled tools returned, as JSON, by journal key.
        prepaid: Calls of tools that were paid before they were over, by journal key.
        charged: What charges that are booked once have cost, by journal key.
        in_flight: Attempts on their way, by journal key: a node that is run again while its
            first ask still runs joins that ask.
        labels: Labels of what it was given (:mod:`orchestrator.runtime.run.labels`).
    """

    replies: dict[str, list[JournaledReply]] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)
    prepaid: Counter[str] = field(default_factory=Counter)
    charged: dict[str, Money] = field(default_factory=dict)
    in_flight: dict[str, Future[JournaledReply]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)

    @classmethod
    def from_history(cls, history: TaskHistory) -> Journal:
        """Rebuild the journal of a task that is resumed."""
        journal = cls(
            decisions=dict(history.decisions), labels=set(history.marks.get("labels", ()))
        )
        for record in history.attempts:
            if record.intent.kind == "tool" and record.end is not None:
                journal.add_tool(record.intent.key, record.end)
            elif record.intent.kind == "resource" and record.end is not None:
                journal.charged[record.intent.key] = record.end.cost + record.end.overrun
            elif record.end is not None and record.end.reply is not None:
                intent = record.intent
                journal.add(
                    intent.key,
                    JournaledReply(
                        intent.attempt_id,
                        intent.model,
                        replace(decode(record.end.reply), usage=record.end.usage),
                        record.end.cost + record.end.overrun,
                        from_memo=intent.kind == "memo",
                        from_person=intent.kind == "person",
                    ),
                )
        return journal

    def add(self, key: str, reply: JournaledReply) -> None:
        """Keep a reply under its key."""
        self.replies.setdefault(key, []).append(reply)

    def add_tool(self, key: str, end: AttemptEnd) -> None:
        """Note how a call of a tool ended."""
        if end.reply is not None:
            self.results[key] = end.reply
        if end.error == PAID_EARLY:
            self.prepaid[key] += 1
        elif end.error is None and not end.cost and self.prepaid[key]:
            self.prepaid[key] -= 1

    def asker(self, call_id: str | None) -> tuple[str, JournaledReply] | None:
        """The step, and the reply that answered it and called a tool under ``call_id``.

        Not a reply that was passed over for it, which may have called another under the same id.
        """
        if not call_id:
            return None
        for key in reversed(tuple(self.replies)):  # mostly the newest; others add to it meanwhile
            found = self.decided(key)
            if found is None:
                continue
            reply, decision = found
            if any(call.id == call_id for call in reply.completion.tool_calls):
                return decision.step, reply
        return None

    def decided(self, key: str) -> tuple[JournaledReply, Decision] | None:
        """The reply that answered this ask before, if there was one."""
        decision = self.decisions.get(key)
        if decision is None:
            return None
        for reply in self.replies.get(key, ()):
            if reply.attempt_id == decision.attempt_id:
                return reply, decision
        return None
