"""A proxy that passes requests on to a real provider and records what it answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from orchestrator.core.redaction import mask
from orchestrator.models.scripted import question
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.serving import LARGEST_REQUEST, Serving
from orchestrator.testing.upstream.writing import RecordingWriter

_OK = 200
_CHUNK = 64 * 1024
_END = b"data: [DONE]"
# What belongs to one connection, and what would keep us from reading the answer.
_OF_THE_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}
)
_OF_THE_ANSWER = _OF_THE_CONNECTION | {"content-encoding"}


class Recorder(Serving):
    """Stands between an agent and an OpenAI-compatible provider, and records complete answers.

    Every request is passed on once, as it came, with the client's own key; the answer is passed
    back as it comes. Requests cost what they cost. Errors and answers that break off are not
    recorded.

    Attributes:
        recorded: How many answers were written.
        passed: How many requests were passed on.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        provider: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Nothing listens yet.

        Args:
            path: A ``.jsonl`` file; answers are appended.
            provider: The provider's address (``https://api.openai.com/v1``).
            host: Address to listen on.
            port: Port to listen on; 0: any free one.

        Raises:
            ValueError: If the file's name has another ending, or the address is none.
        """
        super().__init__(host, port)
        if not provider.startswith(("https://", "http://")):
            message = f"{provider!r} is no address; write https://api.openai.com/v1"
            raise ValueError(message)
        self._writer = RecordingWriter(path)
        self._provider = provider.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self.recorded = 0
        self.passed = 0

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_route("*", "/v1/{tail:.*}", self._pass_on)

        @asynccontextmanager
        async def session(_: web.Application) -> AsyncIterator[None]:
            # How long an answer may take is for the client to say, by leaving.
            timeout = aiohttp.ClientTimeout(total=None)
            async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as self._session:
                yield

        app.cleanup_ctx.append(session)
        return app

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None, "entered"
        body, begun = await request.read(), time.monotonic()
        tail = request.match_info["tail"]
        self.passed += 1
        try:
            async with self._session.request(
                request.method,
                f"{self._provider}/{tail}",
                params=request.query,
                headers=_kept(request.headers, _OF_THE_CONNECTION),
                data=body,
                allow_redirects=False,
            ) as answer:
                response = web.StreamResponse(
                    status=answer.status, headers=_kept(answer.headers, _OF_THE_ANSWER)
                )
                await response.prepare(request)
                latency, received, last = time.monotonic() - begun, bytearray(), b""
                async for piece in answer.content.iter_chunked(_CHUNK):
                    received += piece
                    if _END in piece:
                        last = piece
                    else:
                        await response.write(piece)
                if answer.status == _OK and tail.endswith("chat/completions"):
                    await self._record(_reply(body, bytes(received), latency))
                # Whoever has seen the end of an answer can rely on its being recorded.
                await response.write(last)
                await response.write_eof()
        except aiohttp.ClientConnectorError as error:
            said = mask(f"{self._provider} cannot be reached: {error}")
            return web.Response(status=502, text=said)
        return response

    async def _record(self, reply: RecordedReply | None) -> None:
        if reply is not None:
            await asyncio.to_thread(self._writer.write, reply)
            self.recorded += 1


def _kept(headers: Mapping[str, str], without: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in without}


def _reply(asked: bytes, answered: bytes, latency_s: float) -> RecordedReply | None:
    """What was answered, if it is complete and can be read."""
    try:
        request = orjson.loads(asked)
        whole = _assembled(_events(answered)) if request.get("stream") else orjson.loads(answered)
        choice = whole["choices"][0]
        if not choice.get("finish_reason"):
            return None
        usage: Mapping[str, Any] = whole.get("usage") or {}
        return RecordedReply(
            model=request["model"],
            prompt=question(request["messages"]),
            response=choice["message"].get("content") or "",
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            cached_input_tokens=_part(usage, "prompt_tokens_details", "cached_tokens"),
            reasoning_tokens=_part(usage, "completion_tokens_details", "reasoning_tokens"),
            latency_s=latency_s,
            finish_reason=choice["finish_reason"],
            tool_calls=tuple(choice["message"].get("tool_calls") or ()),
            logprobs=choice.get("logprobs"),
        )
    except (orjson.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError):
        return None  # the client has its answer; one that cannot be read cannot be replayed


def _part(usage: Mapping[str, Any], of: str, name: str) -> int:
    return (usage.get(of) or {}).get(name) or 0


def _events(stream: bytes) -> Iterator[Mapping[str, Any]]:
    for line in stream.splitlines():
        data = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and not line.startswith(_END):
            yield orjson.loads(data)


def _assembled(events: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    """The pieces of a stream as one answer."""
    text, reason, usage = "", None, None
    calls: dict[int, dict[str, Any]] = {}
    for event in events:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            reason = choice.get("finish_reason") or reason
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for part in delta.get("tool_calls") or ():
                empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                call = calls.setdefault(part["index"], empty)
                call["id"] = part.get("id") or call["id"]
                for name, piece in (part.get("function") or {}).items():
                    call["function"][name] += piece or ""
    message = {"content": text, "tool_calls": [call for _, call in sorted(calls.items())]}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}
