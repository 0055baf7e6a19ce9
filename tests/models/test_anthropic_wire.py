"""The same promises where LiteLLM does not go through OpenAI's client, but retries by itself."""

import asyncio
import socket
import struct

import orjson
import pytest
from aiohttp import web

from orchestrator.core.usage import Usage
from orchestrator.models.litellm_client import LiteLLMClient
from orchestrator.models.protocol import ModelCallError, ModelRequest
from orchestrator.models.settings import ModelSettings

BODY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-served",
    "content": [{"type": "text", "text": "Paris"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "output_tokens": 4,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 2,
    },
}
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
TRUE_USAGE = Usage(input_tokens=42, output_tokens=4, cached_input_tokens=30, cache_write_tokens=2)


class Anthropic:
    """Speaks Anthropic's messages API; ``mode`` says how."""

    def __init__(self):
        self.mode = "ok"
        self.requests = 0
        self.transports = set()

    def open_connections(self) -> int:
        return sum(not transport.is_closing() for transport in self.transports)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.transports.add(request.transport)
        asked = orjson.loads(await request.read())
        if self.mode == "reset":
            linger = struct.pack("ii", 1, 0)
            line = request.transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.transport.abort()
            return web.Response()
        if self.mode.isdigit():
            headers = {"retry-after": "3"}
            return web.json_response(ERROR, status=int(self.mode), headers=headers)
        if self.mode == "page":
            return web.Response(status=502, text="<html>bad gateway</html>")
        if not asked.get("stream"):
            body = {
                key: value for key, value in BODY.items() if (self.mode, key) != ("bare", "usage")
            }
            return web.json_response(body)
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        usage = BODY["usage"]
        start = BODY | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        events = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Pa"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ris"}},
            {"type": "content_block_stop"},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 4},
            },
            {"type": "message_stop"},
        ]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events[: 3 if self.mode == "half" else None]:
            data = orjson.dumps(event | {"index": 0})
            await response.write(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), data))
        await response.write_eof()
        return response


@pytest.fixture
async def anthropic(aiohttp_url):
    server = Anthropic()
    server.url = await aiohttp_url(server.handle)
    return server


@pytest.fixture
def request_to(anthropic):
    settings = ModelSettings(
        name="small", model="anthropic/claude-haiku-4-5", api_base=anthropic.url
    )
    return ModelRequest(settings=settings, messages=[{"role": "user", "content": "Capital?"}])


async def test_an_answer_comes_with_the_providers_own_usage(client, request_to, on_text):
    completion = await client.ask(request_to, on_text=on_text)

    assert completion.text == "Paris"
    assert completion.finish_reason == "stop"
    assert completion.usage == TRUE_USAGE


async def test_a_reset_connection_is_asked_once_and_may_have_been_billed(
    client, anthropic, request_to, on_text
):
    anthropic.mode = "reset"

    with pytest.raises(ModelCallError) as caught:
        await client.ask(request_to, on_text=on_text)

    assert caught.value.kind == "broken", "it was connected, so the request may have been served"
    assert anthropic.requests == 1, "LiteLLM's handler sends it again by itself"


@pytest.mark.parametrize(
    ("mode", "kind", "status"),
    [
        ("429", "rate_limited", 429),
        ("400", "rejected", 400),
        ("529", "server_error", 529),
        ("500", "server_error", 500),
        ("page", "broken", 502),
    ],
)
async def test_a_real_status_is_told_from_an_invented_one(
    client, anthropic, request_to, *, on_text, mode, kind, status
):
    anthropic.mode = mode

    with pytest.raises(ModelCallError) as caught:
        await client.ask(request_to, on_text=on_text)

    assert (caught.value.kind, caught.value.status) == (kind, status)
    assert anthropic.requests == 1
    if mode == "429":
        assert caught.value.retry_after_s == 3


async def test_a_refused_connection_is_not_connected(client, request_to, on_text):
    settings = ModelSettings(
        name="small", model="anthropic/claude-haiku-4-5", api_base="http://127.0.0.1:9"
    )

    with pytest.raises(ModelCallError) as caught:
        await client.ask(
            ModelRequest(settings=settings, messages=request_to.messages), on_text=on_text
        )

    assert caught.value.kind == "not_connected"


async def test_a_stream_that_stops_half_way_is_broken(client, anthropic, request_to):
    anthropic.mode = "half"

    with pytest.raises(ModelCallError) as caught:
        await client.ask(request_to, on_text=print)

    assert caught.value.kind == "broken"


async def test_an_answer_without_usage_has_none(client, anthropic, request_to):
    anthropic.mode = "bare"

    with pytest.raises(ModelCallError) as caught:  # LiteLLM cannot read it, so neither can we
        await client.ask(request_to)

    assert (caught.value.kind, caught.value.status) == ("broken", 200)


async def test_closing_closes_every_connection(anthropic, request_to):
    client = LiteLLMClient()
    await client.ask(request_to)
    await client.ask(request_to, on_text=[].append)
    assert anthropic.open_connections()

    await client.aclose()

    async with asyncio.timeout(10):
        while anthropic.open_connections():
            await asyncio.sleep(0.005)
