import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web

from orchestrator.models.litellm_client import LiteLLMClient
from orchestrator.models.protocol import ModelRequest
from orchestrator.models.settings import ModelSettings
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris, and it has been for a very long time indeed."

AskFor = Callable[..., ModelRequest]


@pytest.fixture
def replies() -> list[RecordedReply]:
    return [
        RecordedReply(
            model="small-1",
            prompt=QUESTION,
            response=ANSWER,
            query_id="france",
            input_tokens=40,
            output_tokens=20,
            cached_input_tokens=8,
            reasoning_tokens=5,
        )
    ]


@pytest.fixture
async def upstream(replies) -> AsyncIterator[Upstream]:
    prices = {"small-1": {"input": "0.10", "output": "0.40"}}
    async with Upstream(replies, prices=prices) as serving:
        yield serving


@pytest.fixture
async def client() -> AsyncIterator[LiteLLMClient]:
    client = LiteLLMClient()
    await client.open()
    yield client
    await client.aclose()


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def on_text(request):
    return [].append if request.param else None


@pytest.fixture
def ask_for(upstream) -> AskFor:
    """Make the request for QUESTION; keywords change the settings or the request."""

    def make(**changes) -> ModelRequest:
        asked = {"messages": [{"role": "user", "content": QUESTION}]}
        asked |= {
            name: changes.pop(name)
            for name in ("messages", "tools", "schema", "schema_name")
            if name in changes
        }
        settings = {"name": "small", "model": "openai/small-1", "api_base": upstream.url}
        return ModelRequest(settings=ModelSettings(**(settings | changes)), **asked)

    return make


@pytest.fixture
async def aiohttp_url():
    """Serve a handler for every path; the function returns the server's address."""
    runners = []

    async def serve(handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield serve
    for runner in runners:
        await runner.cleanup()


class WireLog:
    """What a server was sent: bodies and keys."""

    url: str

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(orjson.loads(await request.read()))
        self.keys.append(request.headers.get("Authorization"))
        message = {"role": "assistant", "content": "noted"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [choice],
            }
        )


@pytest.fixture
async def wire_log(aiohttp_url) -> WireLog:
    log = WireLog()
    log.url = f"{await aiohttp_url(log.handle)}/v1"
    return log


@pytest.fixture
async def scripted_bytes():
    """Answer every connection with these bytes; the function returns the address."""
    servers = []

    async def serve(answer: bytes) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]))
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    yield serve
    for server in servers:
        server.close()
        await server.wait_closed()
