"""What a provider answers is passed on untouched, recorded without secrets, and replayed free."""

import json
import stat

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from orchestrator.models.litellm_client import LiteLLMClient
from orchestrator.models.protocol import ModelCallError, ModelRequest
from orchestrator.models.settings import ModelSettings
from orchestrator.testing.upstream.faults import Fault
from orchestrator.testing.upstream.recorder import Recorder
from orchestrator.testing.upstream.recording import RecordedReply, Recording
from orchestrator.testing.upstream.server import Upstream

KEY = "sk-" + "planted-0123456789abcdef"
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "search", "arguments": f'{{"token": "{KEY}"}}'},
}
ASKED, CALLING = f"My key is {KEY}. Capital?", "Search for it."
REPLIES = [
    RecordedReply(
        model="small-1",
        prompt=ASKED,
        response=f"Paris. Never show {KEY} to anybody.",
        input_tokens=40,
        output_tokens=20,
        cached_input_tokens=8,
    ),
    RecordedReply(
        model="small-1",
        prompt=CALLING,
        response="",
        tool_calls=(CALL,),
        input_tokens=4,
        output_tokens=2,
    ),
]


@pytest.fixture
async def provider():
    async with Upstream(REPLIES) as serving:
        yield serving


@pytest.fixture
async def recorder(provider, tmp_path):
    async with Recorder(tmp_path / "new" / "replies.jsonl", provider.url) as serving:
        yield serving


@pytest.fixture
def path(recorder, tmp_path):
    return tmp_path / "new" / "replies.jsonl"


@pytest.fixture
async def client():
    client = LiteLLMClient()
    await client.open()
    yield client
    await client.aclose()


def asking(url, text, **more):
    settings = ModelSettings(name="small", model="openai/small-1", api_base=url, **more)
    return ModelRequest(settings=settings, messages=[{"role": "user", "content": text}])


@pytest.mark.parametrize("on_text", [None, [].append], ids=["whole", "streamed"])
@pytest.mark.parametrize("asked", [ASKED, CALLING])
async def test_what_was_recorded_is_replayed_as_it_was_answered(
    client, recorder, provider, path, *, asked, on_text
):
    answered = await client.ask(asking(recorder.url, asked), on_text=on_text)

    async with Upstream(path) as replaying:
        again = await client.ask(asking(replaying.url, asked), on_text=on_text)
    assert answered.usage == again.usage
    assert again.text == answered.text.replace(KEY, "***")
    assert [call.name for call in again.tool_calls] == [call.name for call in answered.tool_calls]
    assert len(provider.log) == recorder.passed == recorder.recorded == 1


async def test_no_secret_reaches_the_file(client, recorder, path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    for asked in (ASKED, CALLING):
        await client.ask(asking(recorder.url, asked, api_key_env="MY_KEY"))

    written = path.read_text()
    assert KEY not in written
    assert "uthorization" not in written
    assert json.loads(written.splitlines()[1])["tool_calls"][0]["function"]["arguments"] == (
        '{"token": "***"}'
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(Recording.read(path).replies) == 2


async def test_the_clients_own_key_reaches_the_provider(client, tmp_path, monkeypatch):
    seen = []

    async def refuse(request):
        seen.append(request.headers["Authorization"])
        return web.json_response({"error": {"message": "no"}}, status=401)

    monkeypatch.setenv("MY_KEY", KEY)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", refuse)
    async with (
        TestServer(app) as server,
        Recorder(tmp_path / "r.jsonl", str(server.make_url("/v1"))) as recorder,
    ):
        with pytest.raises(ModelCallError) as caught:
            await client.ask(asking(recorder.url, "?", api_key_env="MY_KEY"))

    assert seen == [f"Bearer {KEY}"]
    assert caught.value.status == 401
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize("kind", ["rate_limit", "server_error", "cut", "unreadable", "close"])
@pytest.mark.parametrize("on_text", [None, [].append], ids=["whole", "streamed"])
async def test_what_goes_wrong_is_passed_on_and_not_recorded(
    client, recorder, provider, path, *, kind, on_text
):
    provider.add_faults(Fault(kind=kind))

    with pytest.raises(ModelCallError):
        await client.ask(asking(recorder.url, ASKED), on_text=on_text)

    assert len(provider.log) == 1
    assert not path.exists()


async def test_other_addresses_are_passed_on_too(recorder, provider):
    async with httpx.AsyncClient(trust_env=False) as http:
        direct = (await http.get(f"{provider.url}/models")).json()
        passed = (await http.get(f"{recorder.url}/models")).json()

    assert passed == direct
    assert recorder.recorded == 0


async def test_a_provider_that_is_not_there_is_a_gateway_error(client, tmp_path):
    async with Recorder(tmp_path / "r.jsonl", "http://127.0.0.1:9/v1") as recorder:
        with pytest.raises(ModelCallError) as caught:
            await client.ask(asking(recorder.url, "?"))

    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("path", "provider", "words"),
    [
        ("r.csv", "http://127.0.0.1:9/v1", "is written as .jsonl"),
        ("r.jsonl", "api.openai.com", "is no address; write https://"),
    ],
)
def test_a_mistake_says_what_to_write(tmp_path, path, provider, words):
    with pytest.raises(ValueError, match=words):
        Recorder(tmp_path / path, provider)
