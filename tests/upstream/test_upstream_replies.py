"""What the upstream answers when it behaves, and what it bills."""

import asyncio
import dataclasses
import json
import threading

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.testing.upstream.billing import Tariff
from orchestrator.testing.upstream.recording import RecordedReply, RecordingError
from orchestrator.testing.upstream.server import Upstream

ASKED = {
    "model": "small-1",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Now: Capital of France?"}]},
    ],
}
TEXT = "The capital of France is Paris, as it was in the year before this one."


async def events(http, asked):
    response = await http.post("/chat/completions", json=asked | {"stream": True})
    lines = [line for line in response.text.split("\n\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_a_whole_answer(http):
    response = await http.post("/chat/completions", json=ASKED)

    body = response.json()
    assert response.status_code == 200
    assert body["model"] == "small-1"
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    ]
    assert body["usage"] == {
        "prompt_tokens": 40,
        "completion_tokens": 20,
        "total_tokens": 60,
        "prompt_tokens_details": {"cached_tokens": 10},
    }


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_streamed_answer_has_usage_only_if_asked_for(http, include_usage):
    chunks = await events(http, ASKED | {"stream_options": {"include_usage": include_usage}})

    usages = [chunk["usage"] for chunk in chunks if "usage" in chunk]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == TEXT
    assert len(choices) > 3
    assert [choice["finish_reason"] for choice in choices][-1] == "stop"
    assert len(usages) == include_usage


async def test_an_answer_longer_than_max_tokens_is_cut_there_and_billed_so(http, upstream):
    response = await http.post("/chat/completions", json=ASKED | {"max_tokens": 5})

    body = response.json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert TEXT.startswith(body["choices"][0]["message"]["content"])
    assert body["usage"]["completion_tokens"] == upstream.log[0].output_tokens == 5


async def test_tool_calls_and_logprobs_are_replayed():
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    reply = RecordedReply(
        model="m", prompt="q", response="", tool_calls=(call,), logprobs={"content": [1]}
    )
    asked = {"model": "m", "messages": [{"role": "user", "content": "q"}], "logprobs": True}

    async with Upstream([reply]) as upstream, httpx.AsyncClient(base_url=upstream.url) as http:
        whole = (await http.post("/chat/completions", json=asked)).json()["choices"][0]
        streamed = [choice for chunk in await events(http, asked) for choice in chunk["choices"]]

    assert whole["message"]["tool_calls"] == [call]
    assert whole["finish_reason"] == streamed[-1]["finish_reason"] == "tool_calls"
    assert whole["logprobs"] == streamed[0]["logprobs"] == {"content": [1]}
    assert streamed[1]["delta"]["tool_calls"] == [{"index": 0} | call]


async def test_what_was_not_recorded_is_a_400_that_says_so(http, upstream):
    asked = ASKED | {"messages": [{"role": "user", "content": "Capital of Spain?"}]}
    question = await http.post("/chat/completions", json=asked)
    model = await http.post("/chat/completions", json=ASKED | {"model": "small-2"})

    assert (question.status_code, model.status_code) == (400, 400)
    assert "Capital of Spain?" in question.json()["error"]["message"]
    assert "small-1" in model.json()["error"]["message"]
    assert [entry.question for entry in upstream.log] == [None, None]
    assert upstream.billed == Money.ZERO


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"model": "small-1", "messages": [1]}'])
async def test_a_request_that_cannot_be_read_is_a_400(http, body):
    response = await http.post("/chat/completions", content=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_the_models_are_listed(http):
    listed = (await http.get("/models")).json()

    assert [model["id"] for model in listed["data"]] == ["small-1"]


async def test_each_request_is_logged_and_billed(http, upstream):
    await http.post("/chat/completions", json=ASKED)
    await http.post("/chat/completions", json=ASKED | {"model": "openai/small-1", "stream": True})

    log = (await http.get(f"{upstream.control_url}/log")).json()

    each = 30 * 100 + 10 * 10 + 20 * 400  # nano-dollars: input, cached input, output
    assert log["billed_usd"] == "0.000022200"
    assert log["billed_nano"] == upstream.billed.nano == 2 * each
    assert log["requests"][1] == {
        "number": 2,
        "model": "openai/small-1",
        "question": "france",
        "input_tokens": 40,
        "output_tokens": 20,
        "cached_input_tokens": 10,
        "billed_nano": each,
        "streamed": True,
        "fault": None,
        "status": 200,
    }


async def test_a_client_that_leaves_is_billed_and_counted(upstream):
    reply = RecordedReply(model="m", prompt="q", response="a", latency_s=60)
    asked = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    prices = {"m": {"input": 1, "output": 1}}

    async with Upstream([reply], prices=prices, latency_scale=1) as slow:
        async with httpx.AsyncClient(base_url=slow.url) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post("/chat/completions", json=asked, timeout=0.2)
        async with asyncio.timeout(10):
            while not slow.abandoned:
                await asyncio.sleep(0.005)

    assert slow.billed == Money(2000)


async def test_latency_is_replayed_only_if_asked_for(upstream):
    reply = RecordedReply(model="m", prompt="q", response="a", latency_s=3600)
    asked = {"model": "m", "messages": [{"role": "user", "content": "q"}]}

    async with Upstream([reply]) as fast, httpx.AsyncClient(base_url=fast.url) as http:
        assert (await http.post("/chat/completions", json=asked)).status_code == 200


def test_a_test_without_an_event_loop_can_serve_in_a_thread():
    with Upstream([RecordedReply(model="m", prompt="q", response="a")]).serve_in_thread() as up:
        asked = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
        body = httpx.post(f"{up.url}/chat/completions", json=asked).json()
        assert body["choices"][0]["message"]["content"] == "a"
        assert "upstream" in {thread.name for thread in threading.enumerate()}

    assert "upstream" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{up.url}/models")


async def test_a_port_in_use_is_an_error_in_a_thread_too(upstream):
    port = int(upstream.url.split(":")[2].removesuffix("/v1"))
    second = Upstream([RecordedReply(model="m", prompt="q", response="a")], port=port)

    with pytest.raises(OSError, match="in use"), second.serve_in_thread():
        pass
    with pytest.raises(OSError, match="in use"):
        await second.__aenter__()


def test_a_recording_is_read_from_a_path(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text('{"model": "m", "prompt": "q", "response": "a"}')

    assert Upstream(file).models == ("m",)
    with pytest.raises(RecordingError):
        Upstream(str(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize(
    "rates",
    [{"input": "1"}, {"input": "x", "output": "1"}, {"input": 0.1, "output": "1"},
     {"input": "-1", "output": "1"}, {"input": "1", "output": "1", "other": "1"}],
)  # fmt: skip
def test_a_price_that_cannot_be_read_is_an_error(rates):
    with pytest.raises(ValueError, match="price of m"):
        Tariff({"m": rates})


tokens = st.integers(0, 10**6)
price = st.decimals("0", "100", places=4)


@given(tokens, tokens, price, price)
def test_a_bill_is_rounded_up_by_less_than_a_nano_dollar(inputs, outputs, in_price, out_price):
    exact = (inputs * in_price + outputs * out_price) / 10**6 * 10**9

    billed = Tariff({"m": {"input": in_price, "output": out_price}}).bill("m", (inputs, outputs), 0)

    assert exact <= billed.nano < exact + 1


def test_an_unpriced_model_has_no_bill_rather_than_a_free_one():
    assert Tariff({"m": {"input": 1, "output": 1}}).bill("n", (1, 1), 0) is None


def test_missing_token_counts_are_estimated_from_characters():
    reply = RecordedReply(model="m", prompt="12345", response="")

    assert reply.tokens == (2, 1)
    assert dataclasses.replace(reply, input_tokens=0).tokens == (0, 1)
