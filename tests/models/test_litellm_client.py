"""LiteLLM over real HTTP against an upstream that misbehaves."""

import asyncio
import dataclasses
import socket
import subprocess
import sys

import httpx
import pytest

from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import ModelCallError, ModelRequest
from orchestrator.models.settings import ModelSettings
from orchestrator.testing.upstream.faults import Fault
from orchestrator.testing.upstream.server import Upstream

ANSWER = "The capital of France is Paris, and it has been for a very long time indeed."
TRUE_USAGE = Usage(
    input_tokens=40,
    output_tokens=20,
    cached_input_tokens=8,
    cache_write_tokens=0,
    reasoning_tokens=5,
)


async def failure(client, request, on_text=None) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        await client.ask(request, on_text=on_text)
    return caught.value


async def test_an_answer_comes_with_the_providers_own_usage(client, ask_for, on_text):
    completion = await client.ask(ask_for(), on_text=on_text)

    assert completion.text == ANSWER
    assert completion.finish_reason == "stop"
    assert completion.usage == TRUE_USAGE
    assert completion.served_model == "small-1"


async def test_a_stream_hands_over_each_piece_of_text_as_it_comes(client, ask_for):
    pieces = []

    completion = await client.ask(ask_for(), on_text=pieces.append)

    assert len(pieces) > 2
    assert "".join(pieces) == completion.text == ANSWER


async def test_everything_asked_for_reaches_the_wire(client, ask_for, wire_log):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "look", "parameters": schema}}

    await client.ask(
        ask_for(
            api_base=wire_log.url,
            max_output_tokens=77,
            effort="low",
            schema=schema,
            schema_name="place",
            tools=[tool],
        )
    )

    sent = wire_log.bodies[0]
    assert sent["max_tokens"] == 77
    assert sent["reasoning_effort"] == "low"
    assert sent["tools"] == [tool]
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": schema},
    }
    assert sent["messages"][0]["content"] == "What is the capital of France?"


async def test_a_streamed_request_asks_for_usage(client, ask_for, wire_log):
    with pytest.raises(ModelCallError):  # this server does not stream
        await client.ask(ask_for(api_base=wire_log.url), on_text=print)

    assert wire_log.bodies[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_come_back(client, ask_for, replies, streamed):
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    second = {"id": "c2", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    reply = dataclasses.replace(replies[0], response="", tool_calls=(call, second))

    async with Upstream([reply]) as upstream:
        completion = await client.ask(
            ask_for(api_base=upstream.url), on_text=print if streamed else None
        )

    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [
        ("c1", "look", '{"a": 1}'),
        ("c2", "find", "{}"),
    ]
    assert completion.finish_reason == "tool_calls"
    assert completion.text == ""


@pytest.mark.parametrize(
    ("fault", "usage"),
    [
        ("no_usage", None),
        ("zero_usage", Usage(0, 0, 8, 0, 5)),
        ("negative_usage", Usage(-40, -20, 8, 0, 5)),
        ("absurd_usage", Usage(10**9, 10**9, 8, 0, 5)),
    ],
)
async def test_usage_is_what_the_wire_said_and_never_invented(
    client, ask_for, upstream, *, on_text, fault, usage
):
    upstream.add_faults(Fault(kind=fault))

    completion = await client.ask(ask_for(), on_text=on_text)

    assert completion.text == ANSWER
    assert completion.usage == usage


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (Fault(kind="rate_limit"), "rate_limited", 429),
        (Fault(kind="reject"), "rejected", 400),
        (Fault(kind="reject", status=401), "rejected", 401),
        (Fault(kind="reject", status=408), "rejected", 408),
        (Fault(kind="reject", status=422), "rejected", 422),
        (Fault(kind="server_error"), "server_error", 500),
        (Fault(kind="server_error", status=503), "server_error", 503),
        (Fault(kind="server_error", status=529), "server_error", 529),
        (Fault(kind="gateway_error"), "broken", 502),
        (Fault(kind="gateway_error", status=504), "broken", 504),
        (Fault(kind="gateway_error", status=500), "broken", 500),
        (Fault(kind="close"), "broken", None),
        (Fault(kind="reset"), "broken", None),
        (Fault(kind="cut", after=2), "broken", None),
        (Fault(kind="unreadable", after=2), "broken", 200),
    ],
    ids=lambda value: f"{value.kind}-{value.http_status}" if isinstance(value, Fault) else None,
)
async def test_a_fault_is_told_by_what_happened_and_sent_once(
    client, ask_for, upstream, *, on_text, fault, kind, status
):
    upstream.add_faults(fault)

    error = await failure(client, ask_for(), on_text)

    assert (error.kind, error.status) == (kind, status)
    assert len(upstream.log) == 1, "one wire request per ask: three layers of retries made nine"


async def test_not_even_litellms_own_setting_makes_it_retry(client, ask_for, upstream, monkeypatch):
    import litellm  # noqa: PLC0415 - as a user would, after ours

    monkeypatch.setattr(litellm, "num_retries", 3)
    upstream.add_faults(Fault(kind="server_error"))

    error = await failure(client, ask_for())

    assert error.kind == "server_error"
    assert len(upstream.log) == 1


async def test_a_refused_connection_is_not_connected(client, ask_for, on_text):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    error = await failure(client, ask_for(api_base=f"http://127.0.0.1:{port}/v1"), on_text)

    assert error.kind == "not_connected"


async def test_a_name_that_does_not_resolve_is_not_connected(client, ask_for):
    error = await failure(client, ask_for(api_base="http://no-such-host.invalid/v1"))

    assert error.kind == "not_connected"


async def test_an_address_that_is_none_is_rejected(client, ask_for):
    error = await failure(client, ask_for(api_base="localhost:80"))

    assert error.kind == "rejected"
    assert "api_base" in str(error)


async def test_a_stream_that_ends_without_a_reason_is_broken_not_complete(
    client, ask_for, scripted_bytes
):
    chunk = b'data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,'
    chunk += b'"delta":{"content":"half"},"finish_reason":null}]}\n\ndata: [DONE]\n\n'
    url = await scripted_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               b"Connection: close\r\n\r\n" + chunk)  # fmt: skip
    pieces = []

    error = await failure(client, ask_for(api_base=url), pieces.append)

    assert pieces == ["half"]
    assert error.kind == "broken"


async def test_an_error_inside_a_stream_is_broken(client, ask_for, scripted_bytes):
    url = await scripted_bytes(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        b'data: {"error": {"message": "rate limit 429 quota", "code": 429}}\n\n'
    )

    error = await failure(client, ask_for(api_base=url), print)

    assert error.kind == "broken", "the words in it prove nothing"


async def test_a_400_that_litellm_makes_a_reply_of_is_rejected(
    client, ask_for, scripted_bytes, on_text
):
    body = (
        b'{"error": {"message": "Could not finish the message because max_tokens or model output '
        b'limit was reached. Please try again with higher max_tokens."}}'
    )
    url = await scripted_bytes(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    )

    error = await failure(client, ask_for(api_base=url), on_text)

    assert (error.kind, error.status) == ("rejected", 400)


async def test_retry_after_is_carried(client, ask_for, upstream):
    upstream.add_faults(Fault(kind="rate_limit", retry_after="7"))

    error = await failure(client, ask_for())

    assert error.retry_after_s == 7


async def test_an_error_handled_around_an_ask_does_not_colour_it(
    client, ask_for, upstream, on_text
):
    upstream.add_faults(Fault(kind="rate_limit", times=1), Fault(kind="unreadable"))

    async def ask_again_while_handling() -> None:
        try:
            await client.ask(ask_for())
        except ModelCallError:
            await client.ask(ask_for(), on_text=on_text)

    with pytest.raises(ModelCallError) as caught:
        await ask_again_while_handling()

    assert caught.value.kind == "broken"
    assert [entry.fault for entry in upstream.log] == ["rate_limit", "unreadable"]


async def test_many_asks_at_once_each_send_one_request(client, ask_for, upstream):
    completions = await asyncio.gather(*(client.ask(ask_for()) for _ in range(40)))

    assert {completion.text for completion in completions} == {ANSWER}
    assert len(upstream.log) == 40


async def test_a_key_that_is_named_but_not_set_names_the_variable(
    client, ask_for, upstream, monkeypatch
):
    monkeypatch.delenv("SOME_KEY", raising=False)

    error = await failure(client, ask_for(api_key_env="SOME_KEY"))

    assert error.kind == "rejected"
    assert "SOME_KEY" in str(error)
    assert upstream.log == []


async def test_the_named_key_is_sent_and_the_providers_own_is_not(
    client, ask_for, wire_log, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai-only")
    monkeypatch.setenv("SOME_KEY", "for-this-server")

    await client.ask(ask_for(api_base=wire_log.url))
    await client.ask(ask_for(api_base=wire_log.url, api_key_env="SOME_KEY"))

    assert wire_log.keys == ["Bearer none", "Bearer for-this-server"]


@pytest.mark.parametrize("model", ["groq/small-1", "deepseek/small-1", "mistral/small-1"])
async def test_a_server_of_ones_own_needs_no_key_whatever_the_prefix(client, ask_for, model):
    completion = await client.ask(ask_for(model=model))

    assert completion.text == ANSWER
    assert completion.usage is not None


async def test_a_provider_without_its_key_is_rejected_unsent(client, ask_for):
    error = await failure(client, ask_for(model="openai/gpt-5-nano", api_base=None))

    assert error.kind == "rejected"
    assert error.status is None


async def test_an_unknown_provider_is_rejected_unsent(client, ask_for):
    error = await failure(client, ask_for(model="nobody/small-1", api_base=None))

    assert error.kind == "rejected"


async def test_a_region_where_none_is_taken_is_rejected_not_dropped(client, ask_for, upstream):
    error = await failure(client, ask_for(region="eu-west-1"))

    assert error.kind == "rejected"
    assert "region" in str(error)
    assert upstream.log == []


async def test_the_request_is_not_changed_by_asking(client, ask_for):
    content = [{"type": "text", "text": "What is the capital of France?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]

    completion = await client.ask(ask_for(messages=messages))

    assert completion.text == ANSWER
    assert content == [{"type": "text", "text": "What is the capital of France?"}]
    assert messages[0] == {"role": "system", "content": "Be brief."}


async def test_litellm_prints_nothing(client, ask_for, upstream, capfd):
    upstream.add_faults(Fault(kind="server_error", times=1), Fault(kind="cut"))

    await failure(client, ask_for())
    await failure(client, ask_for(), [].append)

    assert capfd.readouterr() == ("", "")


async def test_others_who_use_litellm_in_this_process_keep_its_habits(client, ask_for, upstream):
    import litellm  # noqa: PLC0415 - as a user would, after ours

    await client.ask(ask_for())
    for _ in range(2):
        await litellm.acompletion(
            model="openai/small-1",
            api_base=upstream.url,
            api_key="none",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
        )

    assert len(upstream.log) == 3


async def test_the_upstreams_bill_follows_from_the_usage_reported(client, ask_for, upstream):
    completion = await client.ask(ask_for())

    usage = completion.usage
    assert upstream.billed == Money(usage.input_tokens * 100 + usage.output_tokens * 400)


def test_the_protocol_and_the_unopened_client_do_not_load_litellm():
    program = (
        "import sys, orchestrator.models.protocol, orchestrator.models.litellm_client as c;"
        "c.LiteLLMClient(); print('litellm' in sys.modules, 'openai' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["False", "False"]


async def test_the_wire_log_is_read_as_json(wire_log):
    async with httpx.AsyncClient() as http:
        response = await http.post(f"{wire_log.url}/chat/completions", json={"a": 1})

    assert response.status_code == 200
    assert wire_log.bodies == [{"a": 1}]


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("openai/gpt-5-nano", "OPENAI_API_KEY"),
        ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY"),
    ],
)
async def test_a_key_that_is_not_there_is_named(client, model, key, monkeypatch):
    monkeypatch.delenv(key, raising=False)
    settings = ModelSettings(name="m", model=model)
    request = ModelRequest(settings=settings, messages=[{"role": "user", "content": "?"}])

    error = await failure(client, request)

    assert error.kind == "rejected"
    assert str(error).startswith(f"{model}: {key} is not set in the environment; set it to")
