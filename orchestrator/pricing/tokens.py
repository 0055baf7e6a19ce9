"""How many input tokens a request can have at most, before anyone counted them.

A byte-level tokenizer never makes more tokens than there are bytes, whatever the model, so bytes
are a bound that needs no tokenizer. Some normalise the text first, which can make it longer: the
longest of its forms counts. What a provider adds unseen is covered by the three constants; they
exceed what chat templates and tool instructions of known models take.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

# A chat template's own preamble: a default system prompt, a date, a knowledge cut-off.
REQUEST_OVERHEAD_TOKENS = 128
# Role markers and separators around one message.
MESSAGE_OVERHEAD_TOKENS = 16
# The instructions a provider adds when a request carries tools or a schema.
TOOLS_OVERHEAD_TOKENS = 1024


def input_token_bound(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    schema: Mapping[str, Any] | None = None,
) -> int | None:
    """An upper bound of the input tokens of a request in OpenAI's chat form.

    Returns:
        The bound in tokens; ``None`` (unknown) if a message holds anything but text: an image or
        a file is a few bytes of address and any number of tokens. So is what a tool of the
        provider's own (web search, file search, a code interpreter) puts into the prompt.
    """
    if any(tool.get("type", "function") != "function" for tool in tools):
        return None
    total = REQUEST_OVERHEAD_TOKENS
    for message in messages:
        content = _content_bytes(message.get("content"))
        if content is None:
            return None
        rest = {key: value for key, value in message.items() if key != "content"}
        total += MESSAGE_OVERHEAD_TOKENS + content + _json_bytes(rest)
    if tools or schema is not None:
        total += TOOLS_OVERHEAD_TOKENS + _json_bytes(list(tools)) + _json_bytes(schema)
    return total


def _content_bytes(content: object) -> int | None:
    match content:
        case None:
            return 0
        case str():
            return _text_bytes(content)
        case list() | tuple():
            total = 0
            for part in content:
                match part:
                    case str():
                        total += _text_bytes(part)
                    case {"type": "text", "text": str(text)}:
                        total += _text_bytes(text)
                    case _:
                        return None
            return total
        case _:
            return None


def _text_bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    forms = (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text))
    # A lone surrogate is no valid text, but must not crash what only counts.
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)


def _json_bytes(value: object) -> int:
    # The provider may write the JSON into the prompt with escapes or without.
    return max(len(json.dumps(value)), _text_bytes(json.dumps(value, ensure_ascii=False)))
