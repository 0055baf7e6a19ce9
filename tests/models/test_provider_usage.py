"""What providers say of usage, in the shapes their documentation gives, read through LiteLLM.

The bodies are written from the providers' API references; none was recorded from a live account.
"""

import orjson
import pytest
from aiohttp import web

from orchestrator.core.usage import Usage
from orchestrator.models.protocol import ModelRequest
from orchestrator.models.settings import ModelSettings

CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "served"}
OPENAI_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 800,
    "total_tokens": 2000,
    "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 50, "audio_tokens": 600},
}
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "output_tokens": 40,
    "cache_read_input_tokens": 300,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
    "service_tier": "priority",
}
GEMINI_USAGE = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 200,
    "thoughtsTokenCount": 300,
    "cachedContentTokenCount": 400,
    "totalTokenCount": 1500,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 700},
        {"modality": "AUDIO", "tokenCount": 300},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 400}],
}


def openai_whole(**more):
    message = {"role": "assistant", "content": "Paris"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return CHAT | {"choices": [choice], "usage": OPENAI_USAGE} | more


def openai_chunks(**more):
    chunk = CHAT | {"object": "chat.completion.chunk"} | more
    said = {"index": 0, "delta": {"role": "assistant", "content": "Paris"}}
    yield chunk | {"choices": [said | {"finish_reason": None}]}
    yield chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield chunk | {"choices": [], "usage": OPENAI_USAGE}


def anthropic_whole():
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": [{"type": "text", "text": "Paris"}],
        "stop_reason": "end_turn",
        "usage": ANTHROPIC_USAGE,
    }


def anthropic_chunks():
    start = anthropic_whole() | {"content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start | {"usage": ANTHROPIC_USAGE}}
    yield {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    delta = {"type": "text_delta", "text": "Paris"}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 40},
    }
    yield {"type": "message_stop"}


def gemini_whole():
    content = {"role": "model", "parts": [{"text": "Paris"}]}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return {
        "candidates": [candidate],
        "usageMetadata": GEMINI_USAGE,
        "modelVersion": "served",
        "responseId": "r1",
    }


SHAPES = {
    "openai/gpt-5": (
        lambda: openai_whole(service_tier="flex"),
        lambda: openai_chunks(service_tier="flex"),
        Usage(
            1200,
            800,
            cached_input_tokens=100,
            reasoning_tokens=50,
            input_audio_tokens=1000,
            output_audio_tokens=600,
            tier="flex",
        ),
    ),
    "azure/gpt-5": (
        lambda: openai_whole(service_tier="default"),
        lambda: openai_chunks(service_tier="default"),
        Usage(
            1200,
            800,
            cached_input_tokens=100,
            reasoning_tokens=50,
            input_audio_tokens=1000,
            output_audio_tokens=600,
        ),
    ),
    "anthropic/claude-haiku-4-5": (
        anthropic_whole,
        anthropic_chunks,
        Usage(
            600,
            40,
            cached_input_tokens=300,
            cache_write_tokens=200,
            cache_write_hour_tokens=150,
            tier="priority",
        ),
    ),
    "gemini/gemini-2.5-flash": (
        gemini_whole,
        lambda: iter([gemini_whole()]),
        Usage(1000, 500, cached_input_tokens=400, reasoning_tokens=300, input_audio_tokens=300),
    ),
}


@pytest.fixture
async def provider(aiohttp_url):
    """Answers every POST with what was put into ``whole`` or ``chunks``."""
    asked = []

    async def handle(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        asked.append(body)
        if not (body.get("stream") or "stream" in request.path):
            return web.json_response(handle.whole())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in handle.chunks():
            event = f"event: {chunk['type']}\n" if "type" in chunk else ""
            await response.write(event.encode() + b"data: %s\n\n" % orjson.dumps(chunk))
        if "choices" in chunk:
            await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    handle.url, handle.asked = await aiohttp_url(handle), asked
    return handle


@pytest.mark.parametrize("model", SHAPES)
async def test_every_kind_of_token_is_told_apart(client, provider, on_text, model, monkeypatch):
    for name in ("AZURE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    provider.whole, provider.chunks, usage = SHAPES[model]
    settings = ModelSettings(name="m", model=model, api_base=provider.url)
    request = ModelRequest(settings=settings, messages=[{"role": "user", "content": "Capital?"}])

    completion = await client.ask(request, on_text=on_text)

    assert completion.text == "Paris"
    assert completion.usage == usage


@pytest.mark.parametrize(
    ("tier", "sent"), [(None, None), ("standard", "default"), ("flex", "flex")]
)
async def test_the_service_tier_of_the_policy_is_asked_for(client, provider, tier, sent):
    provider.whole = openai_whole
    settings = ModelSettings(
        name="m", model="openai/gpt-5", api_base=provider.url, service_tier=tier
    )

    await client.ask(ModelRequest(settings=settings, messages=[{"role": "user", "content": "?"}]))

    assert provider.asked[0].get("service_tier") == sent
