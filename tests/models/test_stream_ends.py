"""How the answers of eight providers end, in the shapes that their documentation gives.

Through LiteLLM over real HTTP. The pieces are written from the providers' API references (Bedrock's
exceptions also from botocore's model of the service); none was recorded from a live account.
"""

from dataclasses import dataclass
from functools import partial

import orjson
import pytest
from aiohttp import web

from orchestrator.budgets.settlement import Reserve, settle
from orchestrator.core.money import Money
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest
from orchestrator.models.retry import is_worth_a_retry
from orchestrator.models.settings import ModelSettings
from orchestrator.routing.checks.complete import check_complete
from orchestrator.testing.upstream.shapes import DONE, chat, chunk, event, frame, line

SSE, LINES = "text/event-stream", "application/x-ndjson"
FRAMES = "application/vnd.amazon.eventstream"
OPENAI_USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
CONVERSE = "bedrock/converse/anthropic.claude-haiku-4-5-20251001-v1:0"
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
BOTH = [("look", '{"city": "Paris"}'), ("look", '{"city": "Rome"}')]


def named(body) -> bytes:
    return event(body, body["type"])


def openai_end(word: str) -> bytes:
    return chunk({}, word) + chunk({}, choices=[], usage=OPENAI_USAGE) + DONE


def anthropic_end(word: str) -> bytes:
    end = {"type": "message_delta", "delta": {"stop_reason": word}, "usage": {"output_tokens": 3}}
    stopped = {"type": "content_block_stop", "index": 0}
    return named(stopped) + named(end) + named({"type": "message_stop"})


def gemini_piece(text: str, word: str | None = None) -> bytes:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    usage = {"promptTokenCount": 8, "candidatesTokenCount": 3, "totalTokenCount": 11}
    end = {"finishReason": word} if word else {}
    return event({"candidates": [candidate | end], "usageMetadata": usage, "modelVersion": "m"})


def ollama_piece(message, **end) -> bytes:
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": bool(end)}
    return line(head | {"message": {"role": "assistant", "content": ""} | message} | end)


def bedrock_end(word: str) -> bytes:
    usage = {"inputTokens": 8, "outputTokens": 3, "totalTokens": 11}
    stopped = frame("contentBlockStop", {"contentBlockIndex": 0})
    stopped += frame("messageStop", {"stopReason": word})
    return stopped + frame("metadata", {"usage": usage, "metrics": {"latencyMs": 9}})


def bedrock_piece(delta, index: int = 0) -> bytes:
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def azure_prompt_filter() -> bytes:
    results = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    return event({"id": "", "model": "", "prompt_filter_results": results, "choices": []})


def anthropic_start() -> bytes:
    usage = {"input_tokens": 8, "output_tokens": 1}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": []}
    start = {"type": "message_start", "message": message | {"usage": usage}}
    text = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    delta = {"type": "text_delta", "text": "Par"}
    return (
        named(start)
        + named(text)
        + named({"type": "content_block_delta", "index": 0, "delta": delta})
    )


def openai_error(kind: str = "server_error") -> bytes:
    return event({"error": {"message": "out of order", "type": kind, "param": None, "code": None}})


def anthropic_error() -> bytes:
    return named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def gemini_error() -> bytes:
    return event({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})


@dataclass(frozen=True)
class Dialect:
    """How one provider streams: something said, an end with a word, an error, unfinished ends."""

    model: str
    said: bytes
    end: object
    error: bytes
    unfinished: tuple[str, ...]
    cut: str
    content_type: str = SSE


DIALECTS = {
    "openai": Dialect(
        "openai/gpt-5-mini",
        chunk({"role": "assistant", "content": "Par"}),
        openai_end,
        openai_error(),
        ("content_filter",),
        "length",
    ),
    "azure": Dialect(
        "azure/gpt-5-mini",
        azure_prompt_filter() + chunk({"role": "assistant", "content": "Par"}),
        openai_end,
        openai_error(),
        ("content_filter",),
        "length",
    ),
    "vllm": Dialect(
        "hosted_vllm/Qwen/Qwen3-8B",
        chunk({"role": "assistant", "content": "Par"}),
        openai_end,
        openai_error("InternalServerError") + DONE,
        ("abort",),
        "length",
    ),
    "mistral": Dialect(
        "mistral/mistral-small-latest",
        chunk({"role": "assistant", "content": "Par"}),
        lambda word: chunk({"content": ""}, word, usage=OPENAI_USAGE) + DONE,
        openai_error(),
        ("error", "model_length"),
        "length",
    ),
    "anthropic": Dialect(
        "anthropic/claude-haiku-4-5",
        anthropic_start(),
        anthropic_end,
        anthropic_error(),
        ("refusal", "pause_turn", "model_context_window_exceeded"),
        "max_tokens",
    ),
    "gemini": Dialect(
        "gemini/gemini-2.5-flash",
        gemini_piece("Par"),
        partial(gemini_piece, ""),
        gemini_error(),
        ("SAFETY", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        "MAX_TOKENS",
    ),
    "ollama": Dialect(
        "ollama_chat/llama3.2",
        ollama_piece({"content": "Par"}),
        lambda word: ollama_piece({}, done_reason=word, prompt_eval_count=8, eval_count=3),
        line({"error": "an error was encountered while running the model"}),
        ("load",),
        "length",
        LINES,
    ),
    "bedrock": Dialect(
        CONVERSE,
        frame("messageStart", {"role": "assistant"}) + bedrock_piece({"text": "Par"}),
        bedrock_end,
        frame("modelStreamErrorException", {"message": "broke off"}, "exception"),
        ("guardrail_intervened", "content_filtered", "malformed_model_output",
         "malformed_tool_use", "model_context_window_exceeded"),
        "max_tokens",
        FRAMES,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")


@pytest.fixture(params=DIALECTS)
def dialect(request) -> Dialect:
    return DIALECTS[request.param]


@pytest.fixture
async def ask(client, aiohttp_url):
    """Ask a provider that answers with these bytes; what came of it, and the pieces of text."""
    answer: list[tuple[str, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        ((content_type, body),) = answer  # one request for each answer
        answer.clear()
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    url = await aiohttp_url(handle)

    async def asked(model, content_type, body, tools=()):
        answer.append((content_type, body))
        region = "eu-central-1" if model.startswith("bedrock/") else None
        settings = ModelSettings(name="m", model=model, api_base=url, region=region)
        messages = [{"role": "user", "content": "Capital?"}]
        pieces: list[str] = []
        on_text = None if content_type == "application/json" else pieces.append
        request = ModelRequest(settings=settings, messages=messages, tools=tools)
        try:
            return await client.ask(request, on_text=on_text), pieces
        except ModelCallError as error:
            return error, pieces

    return asked


def booked(outcome) -> tuple[Money, str]:
    reserve = Reserve(amount=Money(1000), quote=None, tokens=100)
    booking = settle(outcome, reserve)
    return booking.cost, booking.certainty


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "mid"])
async def test_an_error_in_the_stream_is_booked_at_the_bound_and_asked_again(
    ask, dialect, is_first
):
    body = dialect.error if is_first else dialect.said + dialect.error
    error, pieces = await ask(dialect.model, dialect.content_type, body)

    assert isinstance(error, ModelCallError)
    assert error.kind == "broken"
    assert "the stream told an error" in str(error)
    assert pieces == ([] if is_first else ["Par"])
    assert is_worth_a_retry(error), "a stream's first piece is what forbids it"
    assert booked(error)[0] == Money(1000), "it began with a 200: tokens may have been billed"


async def test_an_end_that_is_none_is_no_finished_reply(ask, dialect):
    for word in dialect.unfinished:
        completion, _ = await ask(
            dialect.model, dialect.content_type, dialect.said + dialect.end(word)
        )
        assert isinstance(completion, Completion), word
        assert completion.text == "Par"
        assert check_complete(completion).passed is False, word
        assert completion.usage is not None, "what it cost is known all the same"
        assert completion.usage.output_tokens == 3


async def test_a_reply_that_came_to_its_limit_is_cut(ask, dialect):
    body = dialect.said + dialect.end(dialect.cut)
    completion, _ = await ask(dialect.model, dialect.content_type, body)

    assert (completion.text, completion.finish_reason) == ("Par", "length")


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("throttlingException", True),
        ("internalServerException", True),
        ("serviceUnavailableException", True),
        ("modelStreamErrorException", True),
        ("validationException", False),
    ],
)
async def test_bedrocks_exceptions_in_a_stream(ask, kind, again):
    body = frame(kind, {"message": "said so"}, "exception")
    error, _ = await ask(CONVERSE, FRAMES, body)

    assert (error.kind, is_worth_a_retry(error)) == ("broken", again)
    assert f"{kind} " in str(error)


async def test_a_frame_whose_checksum_is_wrong_is_unreadable(ask):
    said = DIALECTS["bedrock"].said
    error, _ = await ask(CONVERSE, FRAMES, said + b"\0" * 40)

    assert (error.kind, is_worth_a_retry(error)) == ("broken", False)


def bedrock_call(index: int, call_id: str, *parts: str) -> bytes:
    start = {"toolUse": {"toolUseId": call_id, "name": "look"}}
    begin = frame("contentBlockStart", {"contentBlockIndex": index, "start": start})
    said = (bedrock_piece({"toolUse": {"input": part}}, index) for part in parts)
    return begin + b"".join(said) + frame("contentBlockStop", {"contentBlockIndex": index})


def openai_call(index: int, arguments: str, **first) -> bytes:
    function = {"name": "look"} if first else {}
    call = {"index": index, "function": function | {"arguments": arguments}} | first
    return chunk({"tool_calls": [call]})


def ollama_call(city: str) -> bytes:
    return ollama_piece(
        {"tool_calls": [{"function": {"name": "look", "arguments": {"city": city}}}]}
    )


def mistral_call(index: int, city: str) -> dict:
    function = {"name": "look", "arguments": f'{{"city": "{city}"}}'}
    return {"index": index, "id": f"a1b2c3d4{index}", "function": function}


CALLS = {
    "mistral": (
        chunk({"role": "assistant", "content": ""})
        + chunk({"tool_calls": [mistral_call(0, "Paris"), mistral_call(1, "Rome")]}, "tool_calls",
                usage=OPENAI_USAGE)
        + DONE
    ),
    "vllm": (
        openai_call(0, "", id="chatcmpl-tool-1", type="function")
        + openai_call(0, '{"city": ')
        + openai_call(0, '"Paris"}')
        + openai_call(1, '{"city": "Rome"}', id="chatcmpl-tool-2", type="function")
        + openai_end("tool_calls")
    ),
    "ollama": (
        ollama_call("Paris")
        + ollama_call("Rome")
        + ollama_piece({}, done_reason="stop", prompt_eval_count=8, eval_count=3)
    ),
    "bedrock": (
        frame("messageStart", {"role": "assistant"})
        + bedrock_call(0, "t1", '{"city": ', '"Paris"}')
        + bedrock_call(1, "t2", '{"city": "Rome"}')
        + bedrock_end("tool_use")
    ),
}  # fmt: skip


@pytest.mark.parametrize("provider", CALLS)
async def test_streamed_calls_of_tools_are_put_together_and_kept_apart(ask, provider):
    dialect = DIALECTS[provider]
    body = CALLS[provider]
    completion, _ = await ask(dialect.model, dialect.content_type, body, [TOOL])

    assert [(call.name, call.arguments) for call in completion.tool_calls] == BOTH
    assert len({call.id for call in completion.tool_calls}) == 2
    assert completion.finish_reason == "tool_calls"
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (8, 3)


async def test_a_streamed_call_without_arguments_has_empty_ones(ask):
    start = frame("messageStart", {"role": "assistant"})
    body = start + bedrock_call(0, "t1") + bedrock_end("tool_use")
    completion, _ = await ask(CONVERSE, FRAMES, body, [TOOL])

    assert [call.arguments for call in completion.tool_calls] == ["{}"]


def thinking(*texts: str) -> dict:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text} for text in texts]}


async def test_mistrals_thinking_is_not_a_part_of_the_reply(ask):
    model = "mistral/magistral-medium-latest"
    body = (
        chunk({"role": "assistant", "content": [thinking("France.")]})
        + chunk({"content": [thinking("Its capital.")]})
        + chunk({"content": [{"type": "text", "text": "Par"}]})
        + chunk({"content": "is"})
        + chunk({"content": ""}, "stop", usage=OPENAI_USAGE)
        + DONE
    )
    streamed, pieces = await ask(model, SSE, body)
    assert (streamed.text, "".join(pieces)) == ("Paris", "Paris")

    content = [
        thinking("France."),
        {"type": "text", "text": "Paris"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": ", of course"},
    ]
    whole = orjson.dumps(chat(OPENAI_USAGE, content=content))
    completion, _ = await ask(model, "application/json", whole)
    assert completion.text == "Paris, of course", "LiteLLM keeps the last part only"
