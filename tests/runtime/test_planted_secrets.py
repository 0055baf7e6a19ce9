"""Secrets that were planted where secrets lie are in nothing that is written or shown.

Real HTTP through LiteLLM, to providers that quote all they were sent in their errors.
"""

import io
import logging
import os
import sqlite3
import traceback
from typing import TypedDict

import httpx
import pytest
from aiohttp import web
from langgraph.graph import StateGraph
from typer.testing import CliRunner

from orchestrator import Orchestrator, step
from orchestrator.cli.main import app
from orchestrator.models.failures import explain
from orchestrator.models.protocol import ModelRequest
from orchestrator.models.scripted import ScriptedModel
from orchestrator.models.settings import ModelSettings
from orchestrator.models.wire import Wire
from orchestrator.telemetry.structlog_listener import StructlogListener
from orchestrator.testing.upstream.shapes import chunk, event

# None of them looks like a key: what is masked is masked because of where it was.
KEY = "orchid7f3a91harbour"
TOKEN = "violet-lantern-meadow-river"
PASSWORD = "tulip55granite"
SAID = "the vault opens with marigold2291pine"
SECRETS = (KEY, TOKEN, PASSWORD, "marigold2291pine", "vault opens")

TOLD = {"name": "open", "description": f"use {TOKEN}", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": TOLD}]

POLICY = """
org: acme
team: research
models:
  only:
    model: openai/gpt
    api_base: {address}
    api_key_env: RESEARCH_UPSTREAM
    max_output_tokens: 10
    price: {{input: 1, output: 1}}
"""
BODIES = {"bodies", "replies"}


class State(TypedDict, total=False):
    answer: str


async def ask(state: State) -> State:
    """What the tool is told is in the environment, too."""
    return {"answer": (await step("ask").ask(f"{SAID}. What is it for?", tools=TOOLS)).text}


async def break_down(state: State) -> State:
    message = f"cannot sign in with {os.environ['TEAM_TOKEN']} at http://me:{PASSWORD}@db/"
    raise RuntimeError(message)


def graph(node):
    return StateGraph(State).add_node("node", node).set_entry_point("node")


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setenv("RESEARCH_UPSTREAM", KEY)
    monkeypatch.setenv("TEAM_TOKEN", TOKEN)


@pytest.fixture
async def telltale():
    """A provider that answers with a status and an error that quotes what it was sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        words = asked["tools"][0]["function"]["description"], asked["messages"][0]["content"]
        said = f"{request.headers['Authorization']} {words} {request.path_qs}"
        error = {"error": {"message": said, "type": "telltale"}}
        how = request.match_info["status"]
        if how == "names":
            choice = {"index": 0, "message": {"content": "x"}, "finish_reason": said}
            usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
            names = {"id": "c", "object": "chat.completion", "created": 1, "model": said}
            return web.json_response(
                names | {"service_tier": said, "choices": [choice], "usage": usage}
            )
        if how in {"0x", "1x"}:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(chunk({"content": "Par"}) * int(how[0]) + event(error))
            await response.write_eof()
            return response
        status = int(how)
        return web.json_response(error, status=status, headers={"Retry-After": "0"})

    application = web.Application()
    application.router.add_post("/{status}/chat/completions", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def facts(path) -> str:
    """All rows of a ledger but the bodies, which hold what was said by design."""
    with sqlite3.connect(path) as database:
        tables = {
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }
        return repr(
            [database.execute(f"SELECT * FROM {table}").fetchall() for table in tables - BODIES]
        )


def shown(policy, store, task_id) -> str:
    """What commands print of it."""
    commands = [
        ["task", "show", task_id, "--store", store, "--json"],
        ["task", "explain", task_id, "--store", store],
        ["policy", "explain", policy],
        ["policy", "explain", policy, "--json"],
        ["doctor", "--policy", policy, "--store", store],
    ]
    results = [CliRunner().invoke(app, command) for command in commands]
    assert all(result.exception is None or result.exit_code for result in results)
    return "\n".join(result.output for result in results)


async def everything(folder, address, node, invoked, client=None) -> str:
    """Run a task against ``address``; all that became known of it."""
    policy, store = folder / "policy.yaml", f"sqlite:///{folder / 'ledger.db'}"
    policy.write_text(POLICY.format(address=address))
    events, log = [], io.StringIO()
    listeners = [events.append, StructlogListener(log)]
    async with Orchestrator.from_policy(
        policy, store=store, listeners=listeners, client=client
    ) as orchestrator:
        result = await orchestrator.run(graph(node), {}, agent="a")
    printed = await invoked(shown, str(policy), store, result.task_id)
    told = [result, events, log.getvalue(), facts(folder / "ledger.db"), printed]
    return "\n".join(map(str, told))


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_a_provider_that_quotes_all_it_was_sent(status, telltale, tmp_path, invoked):
    text = await everything(tmp_path, f"{telltale}/{status}", ask, invoked)

    assert f"HTTP {status}" in text
    assert [secret for secret in SECRETS if secret in text] == []


def everything_of(error) -> str:
    """An error and all that led to it, as tools that watch errors read it: suppressed or not."""
    links, waiting = [], [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in links:
            links.append(link)
            waiting += [link.__cause__, link.__context__]
    return "\n".join(f"{link!r} {vars(link)}" for link in links)


def watching(ask_in_some_way, seen):
    async def node(state: State) -> State:
        try:
            return await ask_in_some_way(state)
        except Exception as error:
            seen.append(everything_of(error))
            seen.append("".join(traceback.format_exception(error)))
            raise

    return node


async def stream(state: State) -> State:
    stream = step("ask").stream(f"{SAID}. What is it for?", tools=TOOLS)
    return {"answer": "".join([piece.text async for piece in stream])}


@pytest.mark.parametrize("way", [ask, stream])
async def test_nothing_is_chained_to_an_error_nor_logged_in_detail(
    way, telltale, tmp_path, invoked, caplog
):
    """Where a whole process logs everything, and a tool reads the contexts of errors."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    text = await everything(tmp_path, f"{telltale}/400", watching(way, seen), invoked)

    text += "".join(seen) + caplog.text
    assert "ModelRejected" in text
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("begun", [False, True])
async def test_an_error_in_the_middle_of_a_stream(begun, telltale, tmp_path, invoked):
    seen: list[str] = []
    text = await everything(tmp_path, f"{telltale}/{int(begun)}x", watching(stream, seen), invoked)

    assert "told an error" in text
    assert [secret for secret in SECRETS if secret in text + "".join(seen)] == []


async def test_an_answer_that_quotes_where_only_names_belong(telltale, tmp_path, invoked):
    """In the names of the model that served and of its tier, and as the reason of its end."""
    text = await everything(tmp_path, f"{telltale}/names", ask, invoked)

    assert "completed" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_a_client_of_ones_own_that_breaks(telltale, tmp_path, invoked):
    class Broken(ScriptedModel):
        async def ask(self, *args, **kwargs):
            message = f"sent {KEY} and {TOKEN}"
            raise RuntimeError(message)

    text = await everything(tmp_path, telltale, ask, invoked, client=Broken([]))

    assert "the client failed" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_a_key_in_the_query_of_an_address(telltale, tmp_path, invoked):
    address = f"{telltale}/400?api-version=1&X-Amz-Signature={PASSWORD}"
    text = await everything(tmp_path, address, ask, invoked)

    assert "HTTP 4" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_half_of_a_secret_is_not_what_is_left_of_an_answer_that_is_cut(monkeypatch):
    """Masked keys are shorter, so that the place where an answer is cut may come to be shown."""
    request = ModelRequest(settings=ModelSettings(name="m", model="m"), messages=[])
    monkeypatch.setenv("TEAM_TOKEN", "w" * 63)
    response = httpx.Response(400, text=f"{'w' * 63} " * 100, request=httpx.Request("POST", "/"))
    error = httpx.HTTPStatusError("", request=response.request, response=response)

    told = explain(error, wire=Wire(), request=request, outside=None)

    assert "***" in str(told)
    assert "w" not in str(told)


async def test_an_address_with_a_secret_in_its_path_that_nobody_answers_at(tmp_path, invoked):
    text = await everything(tmp_path, f"http://127.0.0.1:9/{TOKEN}/v1", ask, invoked)

    assert "no connection" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_an_exception_in_a_node(telltale, tmp_path, invoked):
    text = await everything(tmp_path, telltale, break_down, invoked)

    assert "cannot sign in" in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_a_policy_and_a_store_with_secrets_in_them(tmp_path, invoked):
    key = f"sk-{KEY}"
    policy = tmp_path / "policy.yaml"
    address = f"http://me:{PASSWORD}@127.0.0.1"
    policy.write_text(POLICY.format(address=address).replace("RESEARCH_UPSTREAM", key))
    commands = [
        ["doctor", "--policy", str(policy), "--store", f"mysql://me:{PASSWORD}@db/ledger"],
        ["doctor", "--policy", str(policy), "--store", f"postgresql://me:{PASSWORD}@127.0.0.1:9/x"],
        ["policy", "check", str(policy), "--json"],
        ["policy", "check", str(policy)],
    ]

    results = [await invoked(CliRunner().invoke, app, command) for command in commands]

    output = "\n".join(result.output for result in results)
    assert output.count("api_base") >= 4
    assert [secret for secret in SECRETS if secret in output] == []
