"""Misbehaviour on demand, seen from a client of the plainest kind."""

import asyncio
import json

import httpx
import pytest

from orchestrator.core.money import Money
from orchestrator.testing.upstream.faults import FAULT_KINDS, Fault, FaultRule
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

ASKED = {"model": "small-1", "messages": [{"role": "user", "content": "Capital of France?"}]}
STREAMED = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
FULL_BILL = Money(30 * 100 + 10 * 10 + 20 * 400)


@pytest.fixture(params=[ASKED, STREAMED], ids=["whole", "streamed"])
def asked(request):
    return request.param


def usage_in(text):
    for line in text.splitlines():
        body = json.loads(line.removeprefix("data: ")) if "usage" in line else {}
        if body.get("usage"):
            return body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]
    return None


@pytest.mark.parametrize(
    ("fault", "status", "is_json"),
    [
        (Fault(kind="rate_limit"), 429, True),
        (Fault(kind="reject"), 400, True),
        (Fault(kind="reject", status=403), 403, True),
        (Fault(kind="server_error"), 500, True),
        (Fault(kind="gateway_error"), 502, False),
        (Fault(kind="gateway_error", status=504), 504, False),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_errors_with_a_status_are_not_billed(
    http, upstream, asked, *, fault, status, is_json
):
    upstream.add_faults(fault)

    response = await http.post("/chat/completions", json=asked)

    assert response.status_code == status
    assert ("error" in response.text and response.text.startswith("{")) is is_json
    assert upstream.billed == Money.ZERO
    assert (upstream.log[0].fault, upstream.log[0].status) == (fault.kind, status)


@pytest.mark.parametrize("kind", ["server_error", "gateway_error", "rate_limit", "close"])
async def test_a_fault_may_come_after_billing(http, upstream, kind):
    upstream.add_faults(Fault(kind=kind, billed=True))

    try:
        await http.post("/chat/completions", json=ASKED)
    except httpx.RemoteProtocolError:
        assert kind == "close"  # the others answer

    assert upstream.billed == FULL_BILL


@pytest.mark.parametrize("said", ["7", "Sun, 22 Nov 2026 12:00:30 GMT", None])
async def test_a_rate_limit_says_when_to_come_back(http, upstream, said):
    upstream.add_faults(Fault(kind="rate_limit", retry_after=said))

    response = await http.post("/chat/completions", json=ASKED)

    assert response.headers.get("retry-after") == said


@pytest.mark.parametrize("kind", ["close", "reset"])
async def test_a_connection_can_end_before_any_byte(http, upstream, asked, kind):
    upstream.add_faults(Fault(kind=kind))

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await http.post("/chat/completions", json=asked)

    assert upstream.billed == Money.ZERO
    assert upstream.log[0].status is None


async def test_a_hanging_request_ends_with_its_client_and_does_not_hold_the_server(
    http, upstream, asked
):
    upstream.add_faults(Fault(kind="hang"))

    with pytest.raises(httpx.ReadTimeout):
        await http.post("/chat/completions", json=asked, timeout=0.1)

    async with asyncio.timeout(10):
        while not upstream.abandoned:
            await asyncio.sleep(0.005)


async def test_the_server_stops_while_requests_hang(http):
    reply = RecordedReply(model="m", prompt="Capital", response="a")
    asked = ASKED | {"model": "m"}
    async with Upstream([reply], faults=[Fault(kind="hang")]) as upstream:
        asking = asyncio.create_task(http.post(f"{upstream.url}/chat/completions", json=asked))
        async with asyncio.timeout(10):
            while not upstream.log:
                await asyncio.sleep(0.005)

    with pytest.raises(httpx.RemoteProtocolError):  # and no read timeout
        await asking


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_stream_is_cut_after_so_many_pieces(http, upstream, after):
    upstream.add_faults(Fault(kind="cut", after=after))
    arrived = bytearray()

    async def read() -> None:
        async with http.stream("POST", "/chat/completions", json=STREAMED) as response:
            async for part in response.aiter_bytes():
                arrived.extend(part)

    with pytest.raises(httpx.RemoteProtocolError):
        await read()

    assert arrived.count(b"data: ") == after
    assert upstream.billed == FULL_BILL


async def test_a_body_is_cut_in_its_middle(http, upstream):
    upstream.add_faults(Fault(kind="cut"))

    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/chat/completions", json=ASKED)

    assert upstream.billed == FULL_BILL


async def test_an_answer_can_be_unreadable(http, upstream, asked):
    upstream.add_faults(Fault(kind="unreadable"))

    response = await http.post("/chat/completions", json=asked)

    assert response.status_code == 200
    assert "unreadable" in response.text
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text.split("data: ")[-1])
    assert upstream.billed == FULL_BILL


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("no_usage", None),
        ("zero_usage", (0, 0)),
        ("negative_usage", (-40, -20)),
        ("absurd_usage", (10**9, 10**9)),
    ],
)
async def test_usage_can_be_wrong_while_the_bill_is_right(http, upstream, asked, *, kind, usage):
    upstream.add_faults(Fault(kind=kind))

    response = await http.post("/chat/completions", json=asked)

    assert usage_in(response.text) == usage
    assert upstream.billed == FULL_BILL


async def test_an_answer_can_be_slow(http, upstream, asked):
    upstream.add_faults(Fault(kind="slow", delay_s=0.02))
    before = asyncio.get_running_loop().time()

    response = await http.post("/chat/completions", json=asked)

    pieces = max(1, response.text.count("data: ") - 1)
    assert asyncio.get_running_loop().time() - before >= 0.019 * pieces
    assert "Paris" in response.text


async def test_faults_are_given_and_taken_back_over_http(http, upstream):
    added = await http.post(
        f"{upstream.control_url}/faults",
        json={"faults": [{"kind": "server_error", "times": 2}, {"kind": "reject"}]},
    )
    statuses = [(await http.post("/chat/completions", json=ASKED)).status_code for _ in range(3)]
    await http.delete(f"{upstream.control_url}/faults")
    after = await http.post("/chat/completions", json=ASKED)

    assert added.json() == {"rules": 2}
    assert statuses == [500, 500, 400]
    assert after.status_code == 200


@pytest.mark.parametrize(
    "body", ["no json", "[]", "{}", '{"faults": [{"kind": "x"}]}', '{"faults": [{}]}']
)
async def test_faults_that_are_none_change_nothing_and_are_explained(http, upstream, body):
    response = await http.post(
        f"{upstream.control_url}/faults",
        content=body,
        headers={"content-type": "application/json"},
    )

    assert response.status_code == 400
    assert "kind" in response.json()["error"]["message"]
    assert (await http.post("/chat/completions", json=ASKED)).status_code == 200


async def test_a_web_page_cannot_set_faults(http, upstream):
    response = await http.post(
        f"{upstream.control_url}/faults",
        content='{"faults": [{"kind": "hang"}]}',
        headers={"content-type": "text/plain"},
    )

    assert response.status_code == 415
    assert (await http.post("/chat/completions", json=ASKED)).status_code == 200


async def test_an_unknown_question_uses_up_no_fault(http, upstream):
    upstream.add_faults(Fault(kind="server_error", times=1))
    asked = ASKED | {"messages": [{"role": "user", "content": "Never recorded"}]}

    first = await http.post("/chat/completions", json=asked)
    second = await http.post("/chat/completions", json=ASKED)

    assert (first.status_code, second.status_code) == (400, 500)


def struck(fault, models):
    rule = FaultRule(fault)
    return [rule.strikes(model) for model in models]


def test_which_requests_a_rule_strikes():
    assert struck(Fault(kind="hang"), "aaa") == [True, True, True]
    assert struck(Fault(kind="hang", times=2), "aaa") == [True, True, False]
    assert struck(Fault(kind="hang", every=2), "aaaa") == [False, True, False, True]
    assert struck(Fault(kind="hang", every=2, times=1), "aaaa") == [False, True, False, False]
    assert struck(Fault(kind="hang", model="p/b"), ["a", "b", "q/b"]) == [False, True, True]
    assert struck(Fault(kind="hang", model="b", times=1), "abb") == [False, True, False]


def test_a_rate_is_repeatable_and_about_right():
    first, again, other = (
        struck(Fault(kind="hang", rate=0.3, seed=seed), "a" * 1000) for seed in (1, 1, 2)
    )

    assert first == again != other
    assert 250 < sum(first) < 350
    assert not any(struck(Fault(kind="hang", rate=0.0), "aaa"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", Fault(kind="hang")),
        ("rate_limit:times=3,retry_after=2", Fault(kind="rate_limit", times=3, retry_after="2")),
        ("rate_limit:retry_after=none", Fault(kind="rate_limit", retry_after=None)),
        (" cut : every=5 , after=2", Fault(kind="cut", every=5, after=2)),
        ("reject:status=403,billed=true", Fault(kind="reject", status=403, billed=True)),
        ("slow:rate=0.1,seed=7,delay_s=0.5,model=openai/m",
         Fault(kind="slow", rate=0.1, seed=7, delay_s=0.5, model="openai/m")),
    ],
)  # fmt: skip
def test_faults_are_written_as_text(text, fault):
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("explode", "kind must be one of"),
        ("hang:often=yes", "unknown often"),
        ("hang:times=many", "times cannot be 'many'"),
        ("hang:times=0", "times must be at least 1"),
        ("hang:every=0", "every must be"),
        ("hang:rate=1.5", "rate must lie"),
        ("hang:rate=nan", "rate must lie"),
        ("slow:delay_s=-1", "delay_s must be"),
        ("cut:after=-1", "after must be"),
        ("hang:billed=perhaps", "billed cannot be"),
        ("hang:status=500", "status does not go with hang"),
    ],
)
def test_faults_that_cannot_be_meant_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Fault.parse(text)


def test_every_kind_of_fault_is_documented():
    assert all(f"``{kind}``" in Fault.__doc__ for kind in FAULT_KINDS)
