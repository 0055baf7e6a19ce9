"""What providers say of their limits, read from the headers of real kinds."""

from datetime import UTC, datetime

import pytest
from aiohttp import web

from orchestrator.models.protocol import ModelCallError
from orchestrator.models.rates import Allowance, RateReport, rate_report

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:02Z",
}


@pytest.mark.parametrize(
    ("headers", "report"),
    [
        (OPENAI, RateReport(Allowance(60, 59, 1), Allowance(150_000, 149_984, 360))),
        (ANTHROPIC, RateReport(Allowance(50, 49, 2), None)),
        (OPENAI | {"x-ratelimit-limit-requests": "many"}, ("tokens",)),
        (OPENAI | {"x-ratelimit-reset-tokens": "soon"}, ("requests",)),
        ({"x-ratelimit-remaining-requests": "3"}, None),
        (ANTHROPIC | {"anthropic-ratelimit-requests-reset": "2026-03-01T12:00:02"}, None),
        ({}, None),
    ],
)
def test_headers_are_read_or_left(headers, report):
    found = rate_report(headers, NOW)

    if isinstance(report, tuple):
        assert [kind for kind in ("requests", "tokens") if getattr(found, kind)] == list(report)
    else:
        assert found == report


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120ms", 0.12), ("7m12s", 432), ("1h0m0.5s", 3600.5), ("42", 42), ("-1s", None), ("", None)],
)
def test_spans_are_read_as_providers_write_them(text, seconds):
    found = rate_report(OPENAI | {"x-ratelimit-reset-requests": text}, NOW)

    assert (found.requests and found.requests.reset_s) == (
        None if seconds is None else pytest.approx(seconds)
    )


async def test_they_come_with_an_answer_and_with_an_error(client, ask_for, aiohttp_url):
    async def answers(request: web.Request) -> web.Response:
        message = {"role": "assistant", "content": "yes"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}
        return web.json_response(body, headers=OPENAI)

    async def refuses(request: web.Request) -> web.Response:
        body = {"error": {"message": "slow down", "type": "rate_limit"}}
        return web.json_response(body, status=429, headers=OPENAI | {"retry-after": "7"})

    completion = await client.ask(ask_for(api_base=await aiohttp_url(answers)))
    assert completion.rates.requests == Allowance(60, 59, 1)

    with pytest.raises(ModelCallError) as caught:
        await client.ask(ask_for(api_base=await aiohttp_url(refuses)))
    assert caught.value.rates.tokens == Allowance(150_000, 149_984, 360)
    assert caught.value.retry_after_s == 7
