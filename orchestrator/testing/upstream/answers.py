"""Bodies and stream pieces of an OpenAI-compatible answer. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from orchestrator.testing.upstream.faults import Fault
from orchestrator.testing.upstream.recording import RecordedReply

_MOST_PIECES = 24
_LEAST_PIECE_LENGTH = 16
_ABSURD_TOKENS = 10**9
DONE = b"data: [DONE]\n\n"


def within_limit(reply: RecordedReply, max_tokens: int | None) -> RecordedReply:
    """What a provider sends of ``reply`` if it may send ``max_tokens`` at most."""
    inputs, outputs = reply.tokens
    if max_tokens is None or outputs <= max_tokens:
        return dataclasses.replace(reply, input_tokens=inputs, output_tokens=outputs)
    return dataclasses.replace(
        reply,
        response=reply.response[: len(reply.response) * max_tokens // outputs],
        input_tokens=inputs,
        output_tokens=max_tokens,
        reasoning_tokens=min(reply.reasoning_tokens, max_tokens),
        finish_reason="length",
        tool_calls=(),  # half a call is none
    )


def whole(reply: RecordedReply, number: int, fault: Fault | None, *, logprobs: bool) -> bytes:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.response}
    if reply.tool_calls:
        message["tool_calls"] = list(reply.tool_calls)
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    if logprobs and reply.logprobs is not None:
        choice["logprobs"] = reply.logprobs
    body = _envelope(reply, number, "chat.completion")
    body |= {"choices": [choice], "service_tier": "default"}
    usage = _usage(reply, fault)
    return orjson.dumps(body if usage is None else body | {"usage": usage})


def pieces(
    reply: RecordedReply, number: int, fault: Fault | None, *, include_usage: bool, logprobs: bool
) -> Iterator[bytes]:
    """The events of a streamed answer, without the closing :data:`DONE`."""
    envelope = _envelope(reply, number, "chat.completion.chunk")

    def event(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        if logprobs and reply.logprobs is not None and "role" in delta:
            choice["logprobs"] = reply.logprobs  # all of them, with the first piece
        return _event(envelope | {"choices": [choice]})

    length = max(_LEAST_PIECE_LENGTH, math.ceil(len(reply.response) / _MOST_PIECES))
    first: dict[str, Any] = {"role": "assistant"}
    for start in range(0, max(1, len(reply.response)), length):
        yield event(first | {"content": reply.response[start : start + length]})
        first = {}
    for index, call in enumerate(reply.tool_calls):
        yield event({"tool_calls": [{"index": index} | dict(call)]})
    yield event({}, _finish_reason(reply))
    usage = _usage(reply, fault)
    if include_usage and usage is not None:
        yield _event(envelope | {"choices": [], "usage": usage})


def error(message: str, kind: str) -> bytes:
    """An error body as OpenAI writes it."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}})


def _envelope(reply: RecordedReply, number: int, kind: str) -> dict[str, Any]:
    return {"id": f"replay-{number}", "object": kind, "created": 0, "model": reply.model}


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _finish_reason(reply: RecordedReply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _usage(reply: RecordedReply, fault: Fault | None) -> dict[str, Any] | None:
    kind = None if fault is None else fault.kind
    inputs, outputs = reply.tokens
    if kind == "no_usage":
        return None
    if kind == "zero_usage":
        inputs, outputs = 0, 0
    if kind == "negative_usage":
        inputs, outputs = -inputs, -outputs
    if kind == "absurd_usage":
        inputs, outputs = _ABSURD_TOKENS, _ABSURD_TOKENS
    usage: dict[str, Any] = {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": inputs + outputs,
    }
    if reply.cached_input_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_input_tokens}
    if reply.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": reply.reasoning_tokens}
    return usage
