"""Pieces of answers as providers write them on the wire.

Written from the providers' documentation; none was recorded from a live account.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.testing.upstream.answers import DONE

__all__ = ["DONE", "chat", "chunk", "event", "frame", "line"]

_STRING = 7  # the type of a header's value, in AWS's encoding


def event(body: Mapping[str, Any], name: str | None = None) -> bytes:
    """A server-sent event; Anthropic names its events."""
    named = b"" if name is None else b"event: %s\n" % name.encode()
    return named + b"data: %s\n\n" % orjson.dumps(body)


def line(body: Mapping[str, Any]) -> bytes:
    """A line of JSON, as Ollama streams."""
    return orjson.dumps(body) + b"\n"


def frame(kind: str, body: Mapping[str, Any], message_type: str = "event") -> bytes:
    """A message of AWS's event stream, as Bedrock streams.

    Lengths, their checksum, headers, the payload, a checksum of it all:
    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html

    Args:
        kind: What kind of event or exception.
        body: The payload, as JSON.
        message_type: ``event`` or ``exception``.
    """
    named = {
        f":{message_type}-type": kind,
        ":content-type": "application/json",
        ":message-type": message_type,
    }
    headers = b"".join(
        struct.pack(f">B{len(name)}sBH{len(value)}s", len(name), name, _STRING, len(value), value)
        for name, value in ((name.encode(), value.encode()) for name, value in named.items())
    )
    payload = orjson.dumps(body)
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chat(usage: Mapping[str, Any] | None, **message: object) -> dict[str, Any]:
    """A whole answer in OpenAI's form; it says "Paris" unless ``message`` says otherwise."""
    said = {"role": "assistant", "content": "Paris"} | message
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "served"}
    return whole | {"choices": [choice]} | ({"usage": usage} if usage else {})


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None, **more: object) -> bytes:
    """An event of a streamed answer in OpenAI's form."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
    return event(head | {"choices": [choice]} | more)
