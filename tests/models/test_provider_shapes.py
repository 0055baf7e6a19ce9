"""Mistral, Bedrock, Ollama and vLLM on the wire, in the shapes that their documentation gives.

Through LiteLLM over real HTTP. The bodies are written from the providers' API references, and
Bedrock's stream from AWS's description of the event stream encoding; none was recorded from a live
account.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.usage import Usage
from orchestrator.models.protocol import ModelCallError, ModelRequest
from orchestrator.models.settings import ModelSettings
from orchestrator.testing.upstream.shapes import DONE, chat, chunk, frame, line

PAGE = "<html>bad gateway</html>"


@dataclass(frozen=True)
class Shape:
    """How one provider answers.

    ``stream`` is in pieces: what is said, what ends it, what says the usage.
    """

    model: str
    whole: Any
    stream: tuple[bytes, bytes, bytes]
    usage: Usage
    overloaded: Any
    failed: Any
    refused: Any
    without_usage: Any
    content_type: str = "text/event-stream"


def mistral() -> Shape:
    """https://docs.mistral.ai/api: the last piece ends the stream and carries the usage."""
    usage = {"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50}
    error = {"object": "error", "param": None}
    return Shape(
        model="mistral/mistral-small-latest",
        whole=chat(usage),
        stream=(
            chunk({"role": "assistant", "content": ""}) + chunk({"content": "Paris"}),
            chunk({"content": ""}, "stop"),
            chunk({"content": ""}, "stop", usage=usage) + DONE,
        ),
        usage=Usage(16, 34),
        overloaded=error | {"message": "Rate limit", "type": "rate_limited", "code": "1300"},
        failed=error | {"message": "Oops", "type": "internal_server_error", "code": "1000"},
        refused={"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "required"}]},
        without_usage=chat(None),
    )


def vllm() -> Shape:
    """https://docs.vllm.ai: OpenAI's shapes; thinking beside the content, cached tokens told."""
    usage = {
        "prompt_tokens": 36,
        "completion_tokens": 20,
        "total_tokens": 56,
        "prompt_tokens_details": {"cached_tokens": 32},
    }
    error = {"param": None}
    return Shape(
        model="hosted_vllm/Qwen/Qwen3-8B",
        whole=chat(usage, reasoning_content="France. Its capital."),
        stream=(
            chunk({"role": "assistant", "content": ""})
            + chunk({"reasoning_content": "France. Its capital."})
            + chunk({"content": "Paris"}),
            chunk({"content": ""}, "stop"),
            chunk({}, choices=[], usage=usage) + DONE,
        ),
        usage=Usage(36, 20, cached_input_tokens=32),
        overloaded={"error": error | {"message": "Busy", "type": "Overloaded", "code": 429}},
        failed={"error": error | {"message": "Dead", "type": "InternalServerError", "code": 500}},
        refused=error | {"object": "error", "message": "Too long", "type": "BadRequestError"},
        without_usage=chat(None),
    )


def ollama() -> Shape:
    """https://docs.ollama.com/api: lines of JSON; the last one counts."""
    head = {"model": "served", "created_at": "2026-01-01T00:00:00Z"}
    said = {"message": {"role": "assistant", "content": "Paris"}, "done": False}
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    counts = {"prompt_eval_count": 26, "eval_count": 298}
    return Shape(
        model="ollama_chat/llama3.2",
        whole=head | end | said | {"done": True} | counts,
        stream=(line(head | said), line(head | end), line(head | end | counts)),
        usage=Usage(26, 298),
        overloaded={"error": "server busy, please try again. maximum pending requests exceeded"},
        failed={"error": "model runner has unexpectedly stopped"},
        refused={"error": "model 'llama3.2' not found"},
        # Of a prompt that it had evaluated before, it has counted nothing.
        without_usage=head | end | said | {"done": True, "eval_count": 298},
        content_type="application/x-ndjson",
    )


def bedrock() -> Shape:
    """Converse, https://docs.aws.amazon.com/bedrock/latest/APIReference: what was cached beside."""
    usage = {
        "inputTokens": 100,
        "outputTokens": 40,
        "totalTokens": 640,
        "cacheReadInputTokens": 300,
        "cacheWriteInputTokens": 200,
    }
    message = {"role": "assistant", "content": [{"text": "Paris"}]}
    whole = {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 9}}
    said = {"contentBlockIndex": 0, "delta": {"text": "Paris"}}
    return Shape(
        model="bedrock/converse/anthropic.claude-haiku-4-5-20251001-v1:0",
        whole=whole | {"usage": usage},
        stream=(
            frame("messageStart", {"role": "assistant"}) + frame("contentBlockDelta", said),
            frame("contentBlockStop", {"contentBlockIndex": 0})
            + frame("messageStop", {"stopReason": "end_turn"}),
            frame("metadata", {"usage": usage, "metrics": {"latencyMs": 9}}),
        ),
        usage=Usage(600, 40, cached_input_tokens=300, cache_write_tokens=200),
        overloaded={"message": "Too many requests, please wait before trying again."},
        failed={"message": "The system encountered an unexpected error during processing."},
        refused={"message": "The provided model identifier is invalid."},
        without_usage=whole,
        content_type="application/vnd.amazon.eventstream",
    )


SHAPES = {make.__name__: make for make in (mistral, vllm, ollama, bedrock)}
AWS_ERRORS = {429: "ThrottlingException", 500: "InternalServerException"}


class Provider:
    """Answers every request with what was put into ``answer``, and counts them."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any] = (200, {})
        self.requests = 0
        self.content_type = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        status, body = self.answer
        headers = {}
        if status != 200:
            headers = {"Retry-After": "7"}
            if "/converse" in request.path:
                headers["x-amzn-ErrorType"] = AWS_ERRORS.get(status, "ValidationException")
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        if not isinstance(body, bytes):
            return web.json_response(body, status=status, headers=headers)
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(params=SHAPES)
def shape(request) -> Shape:
    return SHAPES[request.param]()


@pytest.fixture
async def ask(client, shape, aiohttp_url):
    """Ask the provider, which answers with this; what came of it."""
    provider = Provider()
    provider.content_type = shape.content_type
    url = await aiohttp_url(provider.handle)
    region = "eu-central-1" if shape.model.startswith("bedrock/") else None
    settings = ModelSettings(name="m", model=shape.model, api_base=url, region=region)
    request = ModelRequest(settings=settings, messages=[{"role": "user", "content": "Capital?"}])

    async def asked(body, *, status=200, on_text=None):
        provider.answer = status, body
        try:
            return await client.ask(request, on_text=on_text)
        except ModelCallError as error:
            return error
        finally:
            assert provider.requests == 1

    return asked


async def test_a_whole_answer(ask, shape):
    completion = await ask(shape.whole)

    assert (completion.text, completion.finish_reason) == ("Paris", "stop")
    assert completion.usage == shape.usage


async def test_a_streamed_answer(ask, shape):
    said, end, usage = shape.stream
    pieces: list[str] = []
    # Mistral and Ollama end with the piece that counts.
    body = said + usage if shape.model.startswith(("mistral", "ollama")) else said + end + usage
    completion = await ask(body, on_text=pieces.append)

    assert (completion.text, completion.finish_reason) == ("Paris", "stop")
    assert "".join(pieces) == "Paris"
    assert completion.usage == shape.usage


async def test_usage_that_is_missing_is_not_invented(ask, shape):
    completion = await ask(shape.without_usage)

    if shape.model.startswith("bedrock"):  # always there by the reference; LiteLLM reads on trust
        assert (completion.kind, completion.status) == ("broken", 200)
    else:
        assert (completion.text, completion.usage) == ("Paris", None)


async def test_a_stream_without_usage_has_none(ask, shape):
    said, end, _ = shape.stream
    completion = await ask(said + end, on_text=[].append)

    assert (completion.text, completion.usage) == ("Paris", None)


async def test_a_stream_that_is_cut_is_no_answer(ask, shape):
    error = await ask(shape.stream[0], on_text=[].append)

    assert isinstance(error, ModelCallError)
    assert error.kind == "broken"


@pytest.mark.parametrize("on_text", [None, [].append], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "case",
    [
        (429, "overloaded", "rate_limited"),
        (500, "failed", "server_error"),
        (503, "failed", "server_error"),
        (400, "refused", "rejected"),
        (404, "refused", "rejected"),
        (502, PAGE, "broken"),
    ],
)
async def test_an_error(ask, shape, on_text, case):
    status, said, kind = case
    body = said if said is PAGE else getattr(shape, said)
    error = await ask(body, status=status, on_text=on_text)

    assert isinstance(error, ModelCallError)
    assert (error.kind, error.status) == (kind, status)
    assert error.retry_after_s == (7 if kind in {"rate_limited", "server_error"} else None)
