"""The upstream: an OpenAI-compatible server over a recording."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from aiohttp import web

from orchestrator.core.money import Money
from orchestrator.models.scripted import question
from orchestrator.testing.upstream import answers
from orchestrator.testing.upstream.billing import LogEntry, PriceTable, Tariff
from orchestrator.testing.upstream.faults import Fault, FaultRule
from orchestrator.testing.upstream.index import ReplyIndex, UnknownQuestion
from orchestrator.testing.upstream.recording import RecordedReply, Recording
from orchestrator.testing.upstream.serving import LARGEST_REQUEST, Serving


class Upstream(Serving):
    """Replays recorded answers over HTTP, bills them, and fails when told to.

    ``POST /v1/chat/completions`` (whole or streamed), ``GET /v1/models``; and for tests
    ``POST`` and ``DELETE /_control/faults``, ``GET /_control/log``.

    A reply is found by model, with or without a provider's prefix, and by the recorded question
    being contained in what is asked; the longest wins. Its tokens are those recorded, whatever
    stands around the question. A reply longer than ``max_tokens`` is cut there, as a provider does.
    What is billed is billed when the request comes in, also if the client leaves.

    Example::

        async with Upstream("replies.jsonl", prices={"gpt": {"input": "1", "output": "4"}}) as up:
            settings = ModelSettings(name="small", model="openai/gpt", api_base=up.url)
    """

    def __init__(
        self,
        recording: Recording | str | os.PathLike[str] | Iterable[RecordedReply],
        *,
        prices: PriceTable | None = None,
        faults: Iterable[Fault] = (),
        latency_scale: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Read the recording; nothing listens yet.

        Args:
            recording: A path, a recording, or replies.
            prices: USD per million tokens by model: ``{"gpt": {"input": "1", "output": "4"}}``.
            faults: Rules, judged in order; the first that strikes holds.
            latency_scale: Recorded latency is replayed times this.
            host: Address to listen on.
            port: Port to listen on; 0: any free one.

        Raises:
            RecordingError: If the recording cannot be used.
            ValueError: If a price cannot be read.
        """
        super().__init__(host, port)
        if isinstance(recording, (str, os.PathLike)):
            recording = Recording.read(recording)
        replies = recording.replies if isinstance(recording, Recording) else tuple(recording)
        self._index = ReplyIndex(replies)
        self._tariff = Tariff(prices)
        self._rules = [FaultRule(fault) for fault in faults]
        self._latency_scale = latency_scale
        self.log: list[LogEntry] = []
        self.abandoned = 0

    @property
    def control_url(self) -> str:
        """The address of the control endpoints."""
        return self.url.removesuffix("/v1") + "/_control"

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were recorded."""
        return self._index.models

    @property
    def billed(self) -> Money:
        """What all requests so far cost. Requests of unpriced models add nothing."""
        return Money(sum(entry.billed_nano or 0 for entry in self.log))

    def add_faults(self, *faults: Fault) -> None:
        """Add rules after those already there."""
        self._rules += [FaultRule(fault) for fault in faults]

    def clear_faults(self) -> None:
        """Behave from now on."""
        self._rules = []

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/_control/faults", self._post_faults)
        app.router.add_delete("/_control/faults", self._delete_faults)
        app.router.add_get("/_control/log", self._get_log)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = orjson.loads(await request.read())
            model = str(asked["model"])
            text = question(asked["messages"])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            return _error(400, f"the request cannot be read: {error!r}", "invalid_request_error")
        try:
            found = self._index.find(model, text)
        except UnknownQuestion as unknown:
            self._note(model, None, None, streamed=bool(asked.get("stream")))
            return _error(400, f"replay: {unknown}", "unknown_question")
        reply = answers.within_limit(
            found, asked.get("max_completion_tokens") or asked.get("max_tokens")
        )
        fault = next((rule.fault for rule in self._rules if rule.strikes(model)), None)
        number = self._note(model, reply, fault, streamed=bool(asked.get("stream")))
        try:
            return await self._answer(request, asked, _Answer(reply, number, fault))
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        except ConnectionError:  # left between two pieces
            self.abandoned += 1
            return _hang_up(request)

    def _note(
        self, model: str, reply: RecordedReply | None, fault: Fault | None, *, streamed: bool
    ) -> int:
        """Bill the request and log it."""
        works = reply is not None and (fault is None or fault.is_billed)
        tokens, cached = (0, 0), 0
        if reply is not None and works:
            tokens, cached = reply.tokens, reply.cached_input_tokens
        bill = self._tariff.bill(model, tokens, cached)
        status = 400 if reply is None else 200 if fault is None else fault.http_status
        entry = LogEntry(
            number=len(self.log) + 1,
            model=model,
            question=None if reply is None else reply.query_id,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            cached_input_tokens=cached,
            billed_nano=None if bill is None else bill.nano,
            streamed=streamed,
            fault=None if fault is None else fault.kind,
            status=status,
        )
        self.log.append(entry)
        return entry.number

    async def _answer(
        self, request: web.Request, asked: Mapping[str, Any], answer: _Answer
    ) -> web.StreamResponse:
        fault, kind = answer.fault, answer.kind
        await asyncio.sleep(answer.reply.latency_s * self._latency_scale)
        if kind == "hang":
            await asyncio.Event().wait()
        if kind in ("close", "reset"):
            return _hang_up(request, reset=kind == "reset")
        if kind == "gateway_error":
            page = f"<html><body><h1>{answer.status} Bad gateway</h1></body></html>"
            return web.Response(status=answer.status, text=page, content_type="text/html")
        if fault is not None and answer.status != 200:  # noqa: PLR2004 - HTTP's "all is well"
            headers = {}
            if kind == "rate_limit" and fault.retry_after is not None:
                headers["Retry-After"] = fault.retry_after
            return _error(answer.status, f"replay: {kind}, as asked for", kind, headers)
        logprobs = bool(asked.get("logprobs"))
        if not asked.get("stream"):
            body = answers.whole(answer.reply, answer.number, fault, logprobs=logprobs)
            return await _send_whole(request, body, fault)
        include_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        events = answers.pieces(
            answer.reply, answer.number, fault, include_usage=include_usage, logprobs=logprobs
        )
        return await _send_stream(request, events, fault)

    async def _list_models(self, request: web.Request) -> web.Response:
        del request
        listed = [{"id": name, "object": "model", "owned_by": "replay"} for name in self.models]
        return _json({"object": "list", "data": listed})

    async def _post_faults(self, request: web.Request) -> web.Response:
        # A web page cannot send this type to another site unasked.
        if request.content_type != "application/json":
            return _error(415, "send application/json", "unsupported_media_type")
        try:
            given = orjson.loads(await request.read())
            self.add_faults(*[Fault.from_mapping(fault) for fault in given["faults"]])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            return _error(400, f'send {{"faults": [{{"kind": ...}}]}}: {error}', "invalid_fault")
        return _json({"rules": len(self._rules)})

    async def _delete_faults(self, request: web.Request) -> web.Response:
        del request
        self.clear_faults()
        return _json({"rules": 0})

    async def _get_log(self, request: web.Request) -> web.Response:
        del request
        requests = [entry.to_json() for entry in self.log]
        billed = {"billed_usd": self.billed.to_json(), "billed_nano": self.billed.nano}
        return _json(billed | {"abandoned": self.abandoned, "requests": requests})


class _Answer:
    """A reply, its number in the log, and what is to go wrong with it."""

    def __init__(self, reply: RecordedReply, number: int, fault: Fault | None) -> None:
        self.reply = reply
        self.number = number
        self.fault = fault
        self.kind = "" if fault is None else fault.kind
        self.status = (None if fault is None else fault.http_status) or 200


_BROKE_OFF = "The server had an error while processing your request."
_ENDINGS: Mapping[str, bytes] = {
    "cut": b"",
    "unreadable": b"data: {unreadable\n\n",
    "error_event": b"data: %s\n\n" % answers.error(_BROKE_OFF, "server_error"),
}
"""What comes in the place of the rest of a stream."""


async def _send_whole(request: web.Request, body: bytes, fault: Fault | None) -> web.StreamResponse:
    kind = None if fault is None else fault.kind
    if fault is not None and kind == "slow":
        await asyncio.sleep(fault.delay_s)
    if kind == "unreadable":
        body = b'{"id": "replay", "choices": [unreadable'
    if kind == "error_event":
        body = answers.error(_BROKE_OFF, "server_error")
    if kind != "cut":
        return web.Response(body=body, content_type="application/json")
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    return _hang_up(request, response=response)


async def _send_stream(
    request: web.Request, events: Iterator[bytes], fault: Fault | None
) -> web.StreamResponse:
    kind = None if fault is None else fault.kind
    response = web.StreamResponse()
    response.content_type = "text/event-stream"
    await response.prepare(request)
    for sent, event in enumerate(events):
        if fault is not None and kind in _ENDINGS and sent == fault.after:
            break
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.delay_s)
        await response.write(event)
    if fault is not None and kind == "cut":
        # Else the client might see the end before it read what came in time.
        await asyncio.sleep(fault.delay_s)
        return _hang_up(request, response=response)
    await response.write(_ENDINGS.get(kind or "", answers.DONE))
    await response.write_eof()
    return response


def _hang_up(
    request: web.Request, *, reset: bool = False, response: web.StreamResponse | None = None
) -> web.StreamResponse:
    """Close the connection under the request; what was written still arrives, unless reset."""
    transport = request.transport
    if transport is not None and reset:
        no_linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, no_linger
        )
        transport.abort()
    elif transport is not None:
        transport.close()
    return response or web.Response()


def _error(
    status: int, message: str, kind: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=answers.error(message, kind),
        content_type="application/json",
        headers=headers,
    )


def _json(body: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
