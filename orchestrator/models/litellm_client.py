"""Asking any provider through LiteLLM: the only file that imports it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from orchestrator.core.redaction import keep_details_unlogged
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest, ToolCall
from orchestrator.models.settings import ModelSettings
from orchestrator.models.streamed import StreamedAnswer, logprobs_of, text_of
from orchestrator.models.wire import (
    Ends,
    StreamTap,
    Wire,
    current_wire,
    read_usage,
    served_tier,
    telling_errors,
    watched,
)

CONNECT_TIMEOUT_S = 10.0
PREPARATION_TIMEOUT_S = 0.5

# Sent to a server of one's own that no key is named for: clients insist on having one.
_NO_KEY = "none"

_LOADING = threading.Lock()  # clients of several loops may open at once, each in its thread

_REGION_PARAMETERS: Mapping[str, str] = {
    "bedrock": "aws_region_name",
    "sagemaker": "aws_region_name",
    "sagemaker_chat": "aws_region_name",
    "vertex_ai": "vertex_location",
    "vertex_ai_beta": "vertex_location",
    "watsonx": "region_name",
}


# Ours -> OpenAI's word, where the two differ; LiteLLM translates it for other providers.
_SERVICE_TIERS: Mapping[str | None, str] = {"standard": "default"}


class LiteLLMClient:
    """A :class:`~orchestrator.models.protocol.ModelClient` for every provider LiteLLM knows.

    One request per ask, no retries, no invented usage. All asks of one client run on one event
    loop, which the client's connections belong to.

    Keys: ``api_key_env`` names the variable; without it LiteLLM looks for the provider's usual one.
    With ``api_base`` and an ``openai/`` model the usual ``OPENAI_API_KEY`` is *not* sent to that
    address; name it in ``api_key_env`` if it should be.
    """

    def __init__(self) -> None:
        """Load nothing yet; see :meth:`open`."""
        self._litellm: Any = None
        self._explain: Callable[..., ModelCallError] | None = None

    async def open(self) -> None:
        """Import LiteLLM (seconds), off the loop."""
        if self._litellm is None:
            self._litellm, self._explain = await asyncio.to_thread(_load)

    def missing_keys(self, settings: ModelSettings) -> tuple[str, ...]:
        """The environment variables a model needs that are not set; seldom more than one.

        Call it after :meth:`open`. Nothing is asked: whether a key is right only a provider knows.
        """
        if settings.api_key_env is not None:
            return () if os.environ.get(settings.api_key_env) else (settings.api_key_env,)
        if settings.api_base is not None:
            return ()
        return tuple(self._litellm.validate_environment(settings.model)["missing_keys"])

    async def aclose(self) -> None:
        """Close the connections that LiteLLM keeps for this event loop."""
        if self._litellm is None:
            return
        # LiteLLM keys its clients by loop; those of other loops are not ours to close.
        ours = f"-{id(asyncio.get_running_loop())}"
        kept = self._litellm.in_memory_llm_clients_cache.cache_dict
        clients = [kept.pop(key) for key in list(kept) if key.endswith(ours)]
        shared = self._litellm.module_level_aclient  # lives on: it opens a new session when needed
        for client in [*clients, shared.client]:
            closing = getattr(client, "aclose", None) or getattr(client, "close", None)
            if closing is not None and inspect.isawaitable(ended := closing()):
                await ended

    async def ask(
        self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Send exactly one request and read its answer to the end.

        With ``on_text`` the answer is streamed and each piece of text is handed over as it comes.

        Raises:
            ModelCallError: If there is no complete, readable answer, or a named key is missing.
        """
        await self.open()
        wire = Wire()
        border = _Border(self._explain, wire, request)
        before = current_wire.set(wire)
        try:
            parameters = self._parameters(request, wire)
            if on_text is None:
                completion = await self._ask_whole(parameters, wire, border)
            else:
                completion = await self._ask_stream(parameters, wire, border, on_text)
        except ModelCallError as error:
            error.rates = wire.rates
            error.__context__ = None  # LiteLLM's own error, which quotes the request
            if error.kind == "rejected" and not wire.posted:
                self._name_missing_keys(request.settings)
            raise
        finally:
            current_wire.reset(before)
        if wire.status is not None and wire.status >= httpx.codes.BAD_REQUEST:
            message = f"{request.settings.model}: HTTP {wire.status}, which LiteLLM made a reply of"
            raise ModelCallError(kind="rejected", message=message, status=wire.status)
        return replace(completion, rates=wire.rates)

    def _name_missing_keys(self, settings: ModelSettings) -> None:
        """Say why nothing was sent, where that is a key that is not there.

        Not of clouds, which find their keys in more places than the environment.

        Raises:
            ModelCallError: If one is missing.
        """
        missing = () if settings.api_key_env else self.missing_keys(settings)
        if missing and all(name.endswith("_API_KEY") for name in missing):
            message = (
                f"{settings.model}: {' and '.join(missing)} is not set in the environment; set it "
                "to the provider's key, or name another variable with `api_key_env`"
            )
            raise ModelCallError(kind="rejected", message=message) from None

    async def _send(self, parameters: dict[str, Any], wire: Wire) -> Any:  # noqa: ANN401 - LiteLLM's own
        """Hand the request to LiteLLM; cancelled before it is sent, it is not sent any more."""
        sending = asyncio.create_task(self._litellm.acompletion(**parameters))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            if not wire.posted:
                # LiteLLM prepares in a thread, which cannot be cancelled; what it prepared would
                # be a coroutine that nobody awaits.
                wire.withdrawn = True
                await asyncio.wait([sending], timeout=PREPARATION_TIMEOUT_S)
            sending.cancel()
            outcome = (await asyncio.gather(sending, return_exceptions=True))[0]
            if hasattr(outcome, "aclose"):  # a stream that began at the same moment
                await outcome.aclose()
            raise

    async def _ask_whole(
        self, parameters: dict[str, Any], wire: Wire, border: _Border
    ) -> Completion:
        with border:
            response = await self._send(parameters, wire)
            choice = response.choices[0]
            return Completion(
                text=text_of(choice.message.content) if wire.text is None else wire.text,
                finish_reason=wire.unfinished or choice.finish_reason,
                tool_calls=tuple(
                    ToolCall(call.id, call.function.name, call.function.arguments)
                    for call in choice.message.tool_calls or ()
                ),
                usage=read_usage(response.usage, served_tier(response))
                if wire.reported_usage
                else None,
                served_model=wire.served_model,
                logprobs=logprobs_of(choice),
            )

    async def _ask_stream(
        self,
        parameters: dict[str, Any],
        wire: Wire,
        border: _Border,
        on_text: Callable[[str], None],
    ) -> Completion:
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = StreamedAnswer()
        with border:
            response = await self._send(parameters, wire)
        try:
            with border:
                tap = await _tap(response)
            wire.streaming = True
            pieces = aiter(response)
            while True:
                with border:
                    chunk = await anext(pieces, None)
                    text = None if chunk is None else answer.take(chunk)
                if chunk is None:
                    break
                if text:
                    on_text(text)
        finally:
            await response.aclose()
        if not tap.finished:
            message = f"{parameters['model']}: the stream ended before its end"
            raise ModelCallError(kind="broken", message=message)
        return answer.completion(tap, wire)

    def _parameters(self, request: ModelRequest, wire: Wire) -> dict[str, Any]:
        settings = request.settings
        parameters: dict[str, Any] = {
            "model": settings.model,
            # LiteLLM rewrites messages and tools in place.
            "messages": copy.deepcopy([dict(message) for message in request.messages]),
            "max_tokens": settings.max_output_tokens,
            "max_retries": 0,
            # Only connecting is timed here: the deadline of an attempt belongs to the runtime.
            "timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            "logger_fn": wire.log,
            "no-log": True,
            # With tools LiteLLM loads an MCP gateway, which needs a package of its own and may send
            # requests of its own.
            "_skip_mcp_handler": True,
            # What a model of an unknown name can do is for its server to say, with a 400; LiteLLM
            # would refuse to send it.
            "allowed_openai_params": ["tools", "response_format", "reasoning_effort"],
        }
        optional = {
            "api_base": settings.api_base,
            "api_key": self._api_key(settings),
            "reasoning_effort": settings.effort,
            "service_tier": _SERVICE_TIERS.get(settings.service_tier, settings.service_tier),
            "tools": copy.deepcopy([dict(tool) for tool in request.tools]) or None,
            "response_format": None
            if request.schema is None
            else {
                "type": "json_schema",
                "json_schema": {
                    "name": request.schema_name,
                    "schema": copy.deepcopy(dict(request.schema)),
                },
            },
        }
        parameters |= {name: value for name, value in optional.items() if value is not None}
        parameters |= copy.deepcopy(dict(request.parameters))
        if request.logprobs and self._tells_logprobs(settings.model):
            parameters["logprobs"] = True
        if settings.region is not None:
            parameters[_region_parameter(settings)] = settings.region
        return parameters

    def _tells_logprobs(self, model: str) -> bool:
        """Whether the provider has a word for it; one that has none refuses the whole request."""
        return "logprobs" in (self._litellm.get_supported_openai_params(model) or ())

    def _api_key(self, settings: ModelSettings) -> str | None:
        if settings.api_key_env is not None:
            key = os.environ.get(settings.api_key_env)
            if not key:
                message = (
                    f"{settings.model}: the environment variable {settings.api_key_env} "
                    "(api_key_env) is not set; set it to the provider's key"
                )
                raise ModelCallError(kind="rejected", message=message)
            return key
        if settings.api_base is None:
            return None
        if settings.model.startswith(("openai/", "custom_openai/")):
            return _NO_KEY  # the provider's own key must not go to somebody else's address
        missing = self._litellm.validate_environment(settings.model)["missing_keys"]
        return _NO_KEY if any(name.endswith("_API_KEY") for name in missing) else None


class _Border:
    """A ``with`` block in which LiteLLM works; whatever it raises leaves as ``ModelCallError``."""

    def __init__(
        self, explain: Callable[..., ModelCallError] | None, wire: Wire, request: ModelRequest
    ) -> None:
        assert explain is not None, "open() has run"
        self._explain = explain
        self._wire = wire
        self._request = request
        self._outside = sys.exception()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, ModelCallError):
            return  # nothing, ours already, or a cancellation
        # Not "from error": a traceback of LiteLLM's shows the request, the key included.
        raise self._explain(
            error, wire=self._wire, request=self._request, outside=self._outside
        ) from None


async def _tap(response: Any) -> StreamTap:  # noqa: ANN401 - LiteLLM's own wrapper
    """Stand between the provider's chunks and LiteLLM, which invents what they leave out."""
    if response.completion_stream is None:
        await response.fetch_stream()
    chunks = response.completion_stream
    if not hasattr(chunks, "__aiter__"):
        message = "LiteLLM has no asynchronous stream for this provider; ask without streaming"
        raise ModelCallError(kind="broken", message=message)
    response.completion_stream = tap = StreamTap(chunks)
    return tap


def _region_parameter(settings: ModelSettings) -> str:
    provider = settings.model.partition("/")[0]
    try:
        return _REGION_PARAMETERS[provider]
    except KeyError:
        message = (
            f"{settings.model}: {provider} takes no region here; leave region out, or set api_base "
            f"to the region's address (a region works for {', '.join(_REGION_PARAMETERS)})"
        )
        raise ModelCallError(kind="rejected", message=message) from None


def _unknown_model(*_: object, **__: object) -> None:
    """What LiteLLM is told of a model on Ollama, instead of asking its server."""


def _load() -> tuple[Any, Callable[..., ModelCallError]]:
    """Import LiteLLM without its network access, keep it quiet, and watch its transport."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # noqa: PLC0415 - costs seconds and thousands of modules
    from litellm.litellm_core_utils import core_helpers  # noqa: PLC0415 - as above
    from litellm.llms.custom_httpx.aiohttp_transport import (  # noqa: PLC0415 - as above
        LiteLLMAiohttpTransport,
    )
    from litellm.llms.ollama.chat.transformation import (  # noqa: PLC0415 - as above
        OllamaChatCompletionResponseIterator,
    )
    from litellm.llms.ollama.common_utils import (  # noqa: PLC0415 - as above
        OllamaError,
        OllamaModelInfo,
    )

    from orchestrator.models.failures import explain  # noqa: PLC0415 - imports openai

    # What the first ask would load, a second of it, on the loop where every other ask waits.
    for name in ("litellm.proxy._types", "openai.resources"):
        with contextlib.suppress(ImportError):  # another version may keep it elsewhere
            importlib.import_module(name)

    keep_details_unlogged("openai", "httpx", "botocore")
    if not os.environ.get("LITELLM_LOG"):  # which asks for it by name
        keep_details_unlogged("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_streaming_logging = True
    # The one place all of LiteLLM's requests pass. There is no public hook at this depth: a client
    # can be given to some providers only, and its retries lie above that.
    transport: Any = LiteLLMAiohttpTransport
    # After each answer of a model on Ollama, LiteLLM asks the server what the model can do: without
    # any timeout, and on the loop where every other ask waits. Nothing here needs to know.
    ollama: Any = OllamaModelInfo
    lines: Any = OllamaChatCompletionResponseIterator
    words: Any = core_helpers
    with _LOADING:
        ollama.get_model_info = _unknown_model
        if not isinstance(table := words._FINISH_REASON_MAP, Ends):  # noqa: SLF001 - all words pass it
            words._FINISH_REASON_MAP = Ends(table)  # noqa: SLF001 - as above
        if not hasattr(lines.chunk_parser, "__wrapped__"):
            lines.chunk_parser = telling_errors(lines.chunk_parser, OllamaError)
        if not hasattr(transport.handle_async_request, "__wrapped__"):
            transport.handle_async_request = watched(transport.handle_async_request)
    return litellm, explain
