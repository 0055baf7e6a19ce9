"""``tools``: the tool calls of a reply can be carried out, and did not fail before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.models.protocol import Completion, Message, ToolCall
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.checks.schema import NotFollowed, follow, json_schema

NAME = "tools"
_ANYTHING: Mapping[str, Any] = {"type": "object"}


def check_tools(
    completion: Completion, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
) -> CheckResult:
    """Whether each call names a tool that was offered, with arguments that follow its schema.

    A call that the conversation shows to have failed already, with the same arguments, fails too:
    it would fail again. A failure is a tool's message with ``status: error``, or one whose text
    begins with ``Error``, as LangGraph's tool node writes it. The score is the share of calls that
    can be carried out. A reply that calls no tool is not judged.

    Args:
        completion: The reply.
        messages: The conversation it answers.
        tools: The tools that were offered, in OpenAI's form.

    Raises:
        ValueError: If the schema of a tool is no JSON Schema, or refers to something outside it.
    """
    if not completion.tool_calls:
        return CheckResult.not_applicable(NAME, "the reply calls no tool")
    offered = {
        one["function"]["name"]: json_schema(one["function"].get("parameters") or _ANYTHING)
        for one in tools
        if "function" in one
    }
    failed = set(_failed(messages))
    mistakes = [
        mistake
        for call in completion.tool_calls
        if (mistake := _mistake(call, offered, failed)) is not None
    ]
    score = 1 - len(mistakes) / len(completion.tool_calls)
    return CheckResult(NAME, not mistakes, score, "; ".join(mistakes))


def _mistake(
    call: ToolCall, offered: Mapping[str, Mapping[str, Any]], failed: set[tuple[str, str]]
) -> str | None:
    if call.name not in offered:
        return f"there is no tool {call.name!r}"
    try:
        # Models leave out the arguments of a tool that takes none.
        follow(call.arguments or "{}", offered[call.name])
    except NotFollowed as error:
        return f"the arguments of {call.name!r} are wrong: {error}"
    if (call.name, _canonical(call.arguments)) in failed:
        return f"this very call of {call.name!r} failed before"
    return None


def _failed(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """The calls in a conversation that a tool's message reports as failed."""
    made: dict[str, tuple[str, str]] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            function = call.get("function", {})
            arguments = _canonical(function.get("arguments") or "")
            made[call.get("id", "")] = (function.get("name", ""), arguments)
        called = made.get(message.get("tool_call_id", ""))
        if message.get("role") == "tool" and called is not None and _is_error(message):
            yield called


def _is_error(message: Message) -> bool:
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    return message.get("status") == "error" or text.lstrip().lower().startswith("error")


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
