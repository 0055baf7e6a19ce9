"""What really went over the wire, seen below LiteLLM: requests, the status, a stream's own usage.

LiteLLM repeats a request whose connection broke, turns one kind of 400 into a reply of its own, and
ends a stream that has no usage or no end with invented ones. None of that can be told from its
results, so this module looks underneath: at the transport and at the provider's own chunks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from types import MappingProxyType
from typing import Any

import httpx
import orjson

from orchestrator.core.usage import STANDARD, Usage
from orchestrator.models.rates import RateReport, rate_report

# Where providers account for tokens in the body of an answer. If none of these is there, usage that
# LiteLLM reports all the same is its own count, not the provider's.
_ACCOUNTS = ("usage", "usageMetadata", "prompt_eval_count", "meta", "metrics")


# Why a reply ended that is no reply: words that LiteLLM takes for ``stop``. From the references of
# Mistral, Gemini and Vertex, Anthropic, Bedrock, vLLM, Ollama, Cohere, DeepSeek, GLM, OpenRouter.
_UNFINISHED = frozenset({
    "error", "model_length",
    "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MODEL_ARMOR",
    "pause_turn", "model_context_window_exceeded",
    "malformed_model_output", "malformed_tool_use",
    "abort", "load", "unload",
    "ERROR", "ERROR_LIMIT", "USER_CANCEL", "insufficient_system_resource", "network_error",
})  # fmt: skip

# What can be the name of a model or of a tier; anything else may be whatever was said.
_NAME = re.compile(r"[\w./:@+-]{1,200}")

# Providers' words for the tier that everyone gets.
_TIERS: Mapping[str, str] = MappingProxyType(
    {"auto": STANDARD, "default": STANDARD, "on_demand": STANDARD, "scale": STANDARD}
)


class HiddenRetryRefused(httpx.RequestError):
    """A library tried to send the same request again within one attempt."""


@dataclass(slots=True)
class Wire:
    """What one ask put on the wire.

    Attributes:
        posted: Addresses that were sent a POST.
        status: HTTP status of the last answer; ``None`` if there was none.
        rates: What that answer says about the provider's limits.
        body: The answer as the provider wrote it, or ``None`` (streams; nothing readable).
        withdrawn: The ask was cancelled: nothing may be sent any more.
        streaming: The answer has begun and comes in pieces.
        unfinished: The provider's own word for why the reply is not finished, if LiteLLM has none.
    """

    posted: set[str] = field(default_factory=set)
    status: int | None = None
    rates: RateReport | None = None
    body: Mapping[str, Any] | None = None
    withdrawn: bool = False
    streaming: bool = False
    unfinished: str | None = None

    def log(self, details: Mapping[str, Any]) -> None:
        """Keep the provider's own answer; LiteLLM calls this with all it knows of a call."""
        if details.get("log_event_type") != "post_api_call":
            return
        raw = details.get("original_response")
        if isinstance(raw, (str, bytes)):
            try:
                raw = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return
        self.body = raw if isinstance(raw, Mapping) else None

    @property
    def reported_usage(self) -> bool:
        """Whether the answer accounts for tokens at all."""
        return self.body is not None and any(self.body.get(key) is not None for key in _ACCOUNTS)

    @property
    def served_model(self) -> str | None:
        """The model named in the answer."""
        return None if self.body is None else served_model(self.body)

    @property
    def text(self) -> str | None:
        """All the text of an answer in parts, of which LiteLLM keeps the last; ``None``: no parts.

        Mistral answers so where it thinks or names its sources.
        """
        choices = None if self.body is None else self.body.get("choices")
        if not isinstance(choices, list) or not choices:
            return None
        parts = _field(_field(choices[0], "message"), "content")
        if not isinstance(parts, list):
            return None
        texts = (_field(part, "text") for part in parts if _field(part, "type") == "text")
        return "".join(text for text in texts if isinstance(text, str))


current_wire: ContextVar[Wire | None] = ContextVar("current_wire", default=None)


class Ends(dict[str, str]):
    """LiteLLM's table of why replies end, which tells the asking coroutine the provider's own word.

    LiteLLM maps onto OpenAI's few words, and what does not fit becomes ``stop``: a reply that the
    provider calls broken would pass for a finished one.
    """

    def get(self, word: str, default: Any = None) -> Any:  # noqa: ANN401 - as in dict
        """What LiteLLM calls ``word``."""
        if word not in _UNFINISHED:
            return super().get(word) or default or "stop"  # else LiteLLM logs the word
        if (wire := current_wire.get()) is not None:
            wire.unfinished = word
        return "stop"


Send = Callable[[Any, httpx.Request], Awaitable[httpx.Response]]


def watched(send: Send) -> Send:
    """Wrap a transport's ``handle_async_request`` so that it reports to the asking coroutine.

    Requests of others (no :data:`current_wire`) and auxiliary ones (tokens, media) pass through. A
    second POST to the same address within one attempt is refused: it would be paid for, and no row
    of the ledger would know.
    """

    @wraps(send)
    async def handle_async_request(transport: Any, request: httpx.Request) -> httpx.Response:  # noqa: ANN401 - whatever class owns the method
        wire = current_wire.get()
        if wire is None or request.method != "POST":
            return await send(transport, request)
        if wire.withdrawn:
            raise asyncio.CancelledError
        address = str(request.url)
        if address in wire.posted:
            message = f"A second request to {address} within one attempt was refused."
            raise HiddenRetryRefused(message, request=request)
        wire.posted.add(address)
        response = await send(transport, request)
        wire.status = response.status_code
        wire.rates = rate_report(response.headers, datetime.now(UTC))
        return response

    return handle_async_request


def telling_errors(parse: Callable[..., Any], error: Callable[..., Exception]) -> Any:  # noqa: ANN401 - takes its place
    """Wrap a method that reads a piece of a stream, so that it raises the error the piece tells of.

    LiteLLM's reader of Ollama's lines looks for a message in them all.
    """

    @wraps(parse)
    def chunk_parser(reader: Any, chunk: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever class owns the method
        if (told := chunk.get("error")) is not None:
            raise error(status_code=500, message=str(told), headers={})
        return parse(reader, chunk)

    return chunk_parser


class StreamTap:
    """Passes a provider's chunks on and keeps what they say about usage and their end.

    Attributes:
        usage: The provider's own usage; ``None`` if it sent none that can be read.
        finished: Whether a chunk carried a reason for the end.
        served_model: The model the chunks name.
        tier: The service tier the chunks name.
    """

    def __init__(self, source: AsyncIterable[Any]) -> None:
        """Stand between the chunks of ``source`` and whoever reads them."""
        self._source = source
        self._chunks = aiter(source)
        self.usage: Usage | None = None
        self.finished = False
        self.served_model: str | None = None
        self.tier: str | None = None

    def __aiter__(self) -> StreamTap:
        """Be iterated in place of the chunks."""
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - each provider has its own chunk
        """The next chunk, untouched."""
        chunk = await anext(self._chunks)
        reported = _field(chunk, "usage")
        if reported is not None:
            self.usage = read_usage(reported)
        self.tier = served_tier(chunk) or self.tier
        if self.served_model is None:
            self.served_model = served_model(chunk)
        choices = _field(chunk, "choices")
        ending = choices[0] if choices else chunk
        self.finished = self.finished or bool(
            _field(ending, "is_finished") if choices is None else _field(ending, "finish_reason")
        )
        return chunk

    async def aclose(self) -> None:
        """Close the connection below."""
        for layer in (self._chunks, self._source):  # an iterator does not close what it reads from
            close = getattr(layer, "aclose", None) or getattr(layer, "close", None)
            if close is not None:
                await close()


def served_model(answer: Any) -> str | None:  # noqa: ANN401 - a mapping or a library's record
    """The model that ``answer`` names, if it names one."""
    for key in ("model", "modelVersion"):
        name = _field(answer, key)
        if isinstance(name, str) and _NAME.fullmatch(name):
            return name
    return None


def served_tier(answer: Any) -> str | None:  # noqa: ANN401 - a mapping or a library's record
    """The service tier that ``answer`` names, in our words, if it names one."""
    name = _field(answer, "service_tier")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    return _TIERS.get(name, name)


def read_usage(reported: Any, tier: str | None = None) -> Usage | None:  # noqa: ANN401 - a mapping or a library's record
    """Read token counts in OpenAI's form; ``None`` if a whole is missing or no integer.

    ``tier`` is the service tier that stands beside the usage rather than in it.

    Nothing is repaired: zero, negative and absurd counts are for settlement to judge.
    """
    inputs = _count(reported, "prompt_tokens")
    outputs = _count(reported, "completion_tokens")
    if inputs is None or outputs is None:
        return None
    of_input = _field(reported, "prompt_tokens_details")
    of_output = _field(reported, "completion_tokens_details")
    return Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        cached_input_tokens=_count(of_input, "cached_tokens") or 0,
        cache_write_tokens=_count(of_input, "cache_write_tokens")
        or _count(of_input, "cache_creation_tokens")
        or 0,
        reasoning_tokens=_count(of_output, "reasoning_tokens") or 0,
        cache_write_hour_tokens=_count(
            _field(of_input, "cache_creation_token_details"), "ephemeral_1h_input_tokens"
        ),
        input_audio_tokens=_count(of_input, "audio_tokens") or 0,
        input_image_tokens=_count(of_input, "image_tokens") or 0,
        output_audio_tokens=_count(of_output, "audio_tokens") or 0,
        output_image_tokens=_count(of_output, "image_tokens") or 0,
        tier=tier or served_tier(reported) or STANDARD,
    )


def _count(record: Any, key: str) -> int | None:  # noqa: ANN401 - a mapping or a library's record
    value = _field(record, key)
    return value if type(value) is int else None


def _field(record: Any, key: str) -> Any:  # noqa: ANN401 - a mapping or a library's record
    return record.get(key) if isinstance(record, Mapping) else getattr(record, key, None)
