"""One model under several keys: each is an entry of its own, refused and latched on its own."""

from itertools import count, islice
from typing import TypedDict

import pytest
from aiohttp import web
from langgraph.graph import StateGraph

from orchestrator import Orchestrator, step
from orchestrator.models.pools import Pools
from orchestrator.testing import FakeClock

POLICY = """
org: acme
team: research
models:
  east: {{model: openai/gpt, api_base: {url}, api_key_env: KEY_EAST, max_output_tokens: 9,
          price: {{input: 1, output: 1}}}}
  west: {{model: openai/gpt, api_base: {url}, api_key_env: KEY_WEST, max_output_tokens: 9,
          price: {{input: 1, output: 1}}}}
steps: {{ask: {{models: [east, west]}}}}
"""


class State(TypedDict, total=False):
    answer: str


async def ask(state: State) -> State:
    texts = [(await step("ask").ask(f"question {number}")).text for number in range(3)]
    return {"answer": " ".join(texts)}


GRAPH = StateGraph(State).add_node("ask", ask).set_entry_point("ask")


@pytest.fixture
async def provider():
    """Refuses the key of the east; notes which key asked."""
    keys = []

    async def handle(request: web.Request) -> web.Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        keys.append(key)
        if key == "east-key-1":
            error = {"error": {"message": "no", "type": "refused"}}
            return web.json_response(error, status=401)
        choice = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": "yes"}
        usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt"}
        return web.json_response(whole | {"choices": [choice], "usage": usage})

    application = web.Application()
    application.router.add_post("/chat/completions", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    handle.url, handle.keys = f"http://127.0.0.1:{runner.addresses[0][1]}", keys
    yield handle
    await runner.cleanup()


async def test_another_key_takes_over_from_one_that_is_refused(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_EAST", "east-key-1")
    monkeypatch.setenv("KEY_WEST", "west-key-1")
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(url=provider.url))
    async with Orchestrator.from_policy(policy, store="memory://") as orchestrator:
        result = await orchestrator.run(GRAPH, {}, agent="a")

    assert result.halt is None, (result.halt, provider.keys)
    assert result.output == {"answer": "yes yes yes"}
    assert provider.keys.count("west-key-1") == 3
    assert provider.keys.count("east-key-1") == 1  # latched
    assert "-key-1" not in repr(result)


async def test_a_pool_of_keys_answers_each_ask_although_one_key_is_refused(
    provider, tmp_path, monkeypatch
):
    monkeypatch.setenv("KEY_EAST", "east-key-1")
    monkeypatch.setenv("KEY_WEST", "west-key-1")
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"models: {{gpt: {{model: openai/gpt, api_base: '{provider.url}', max_output_tokens: 9,"
        " api_key_env: [KEY_EAST, KEY_WEST], price: {input: 1, output: 1}}}"
    )
    async with Orchestrator.from_policy(policy, store="memory://") as orchestrator:
        keys = orchestrator.policy.everyone.models["gpt"].endpoints
        # The address, which is another each time, decides which tasks begin with the refused key.
        drawn = (f"t{number}" for number in count())
        first = Pools(FakeClock()).ordered
        eastern = (one for one in drawn if first(keys, one)[0].api_key_env == "KEY_EAST")
        results = [
            await orchestrator.run(GRAPH, {}, agent="a", task_id=task_id)
            for task_id in islice(eastern, 4)
        ]

    assert {result.status for result in results} == {"completed"}
    assert provider.keys.count("west-key-1") == 12
    assert provider.keys.count("east-key-1") == 1  # latched
    assert "-key-1" not in repr(results)
