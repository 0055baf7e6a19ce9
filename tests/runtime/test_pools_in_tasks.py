"""One model behind several keys and regions, in tasks: who is asked, held, billed and named."""

from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import step
from orchestrator.core.usage import Usage
from orchestrator.models.pools import Pools
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.policy.load import load_policy
from orchestrator.testing import FakeClock

KEYS = """
models:
  small: {model: openai/small, api_key_env: [KEY_A, KEY_B, KEY_C], max_output_tokens: 10,
          price: {input: 1, output: 1}}
"""
REGIONS = """
models:
  small:
    model: openai/small
    max_output_tokens: 10
    api_key_env: KEY_A
    price: {input: 1, output: 1}
    regions:
      eu: https://eu.example/v1
      us: {api_base: https://us.example/v1, api_key_env: KEY_B, price: {input: 2, output: 2}}
"""
BUDGET = "budgets: {task: {limit: 0.01 USD}}"


class State(TypedDict, total=False):
    out: str


async def ask(state: State) -> State:
    return {"out": " ".join([(await step("s").ask(f"q{number}")).text for number in range(4)])}


GRAPH = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for key in ("KEY_A", "KEY_B", "KEY_C"):
        monkeypatch.setenv(key, "secret-key-1")


class Provider:
    """Answers, but where it is told to fail; notes who was asked."""

    def __init__(self):
        self.failing = {}
        self.asked = []

    def __call__(self, request):
        settings = request.settings
        self.asked.append(settings.origin)
        for part, error in self.failing.items():
            if part in settings.origin:
                return error
        return Completion(text="ok", finish_reason="stop", usage=Usage(15, 5))


def failed(kind, status=None, retry_after_s=None):
    return ModelCallError(kind, "no", status=status, retry_after_s=retry_after_s)


async def run(stage, provider, models=KEYS, clock=None, **how):
    orchestrator = stage.orchestrator(
        BUDGET, script=provider, models=models, clock=clock or FakeClock()
    )
    async with orchestrator:
        return await orchestrator.run(GRAPH, {}, agent="a", **how)


@pytest.mark.parametrize(
    "error",
    [
        failed("rate_limited", 429, 40.0),
        failed("rate_limited", 429),
        failed("rejected", 401),
        failed("server_error", 500),
        failed("not_connected"),
    ],
    ids=lambda error: f"{error.kind} {error.retry_after_s or ''}",
)
async def test_another_key_answers_at_once_where_one_fails(stage_on_each_store, error):
    stage = stage_on_each_store
    settings = load_policy(stage.policy(models=KEYS)).everyone.models["small"]
    first = Pools(FakeClock()).ordered(settings.endpoints, "t")[0].origin
    provider, clock = Provider(), FakeClock()
    provider.failing[first] = error
    result = await run(stage, provider, clock=clock, task_id="t")
    assert result.status == "completed", result
    assert clock.monotonic() == 0  # nobody waited
    booked = stage.rows()
    assert [row.origin for row in booked] == provider.asked
    assert provider.asked[0] == first
    assert [row.kind for row in booked].count("retry") == provider.asked.count(first)
    assert "secret-key-1" not in repr(booked)
    if error.kind in {"rate_limited", "rejected"}:
        assert provider.asked.count(first) == 1, "it rests, or is latched"


async def test_a_task_stays_where_its_region_answers_and_pays_the_price_there(stage):
    provider = Provider()
    for number in range(12):
        result = await run(stage, provider, REGIONS, task_id=f"t{number}")
        assert result.status == "completed"
    price = {"eu/KEY_A": 20_000, "us/KEY_B": 40_000}
    held = {}
    for row in stage.rows():
        assert row.cost.nano == price[row.origin]
        held.setdefault(row.task_id, set()).add(row.origin)
    assert {len(origins) for origins in held.values()} == {1}
    assert set.union(*held.values()) == set(price)


async def test_a_region_that_fails_is_left_until_it_answers_again(stage):
    provider, clock = Provider(), FakeClock()
    orchestrator = stage.orchestrator(BUDGET, script=provider, models=REGIONS, clock=clock)
    async with orchestrator:
        provider.failing["eu"] = failed("server_error", 500)
        for number in range(12):
            result = await orchestrator.run(GRAPH, {}, agent="a", task_id=f"t{number}")
            assert result.status == "completed"
        down = provider.asked.count("eu/KEY_A")
        assert 0 < down <= 6, "its latch opens after five failures"
        provider.failing.clear()
        clock.advance(seconds=60)
        provider.asked.clear()
        for number in range(12):
            await orchestrator.run(GRAPH, {}, agent="a", task_id=f"u{number}")
    assert set(provider.asked) == {"eu/KEY_A", "us/KEY_B"}


async def test_all_keys_at_their_limit_are_waited_for(stage):
    provider, clock = Provider(), FakeClock()
    provider.failing["KEY"] = failed("rate_limited", 429, 20.0)
    asked = provider.__call__

    def later(request):
        if clock.monotonic() >= 20:
            provider.failing.clear()
        return asked(request)

    result = await run(stage, later, clock=clock, task_id="t")
    assert result.status == "completed"
    assert set(provider.asked[:3]) == {"KEY_A", "KEY_B", "KEY_C"}
    assert 20 <= clock.monotonic() < 40


async def test_a_request_that_is_rejected_is_not_sent_to_every_key(stage):
    provider = Provider()
    provider.failing["KEY"] = failed("rejected", 400)
    result = await run(stage, provider)
    assert result.status == "failed"
    assert len(provider.asked) == 1


async def test_a_reply_that_nobody_can_read_is_not_paid_for_with_every_key(stage):
    provider = Provider()
    provider.failing["KEY"] = failed("broken", 200)
    result = await run(stage, provider)
    assert result.halt.reason == "no_model"
    assert [row.certainty for row in stage.rows()] == ["estimated"]
    assert len(provider.asked) == 1


async def test_what_is_learned_of_a_step_does_not_depend_on_keys(stage):
    versions = set()
    for keys in ("[KEY_A, KEY_B]", "[KEY_C, KEY_A]"):
        models = KEYS.replace("[KEY_A, KEY_B, KEY_C]", keys)
        orchestrator = stage.orchestrator(BUDGET, script=Provider(), models=models)
        versions.add(orchestrator.policy.everyone.version_of("s"))
    assert len(versions) == 1


DEAR = REGIONS.replace("{input: 2, output: 2}", "{input: 200, output: 200}")


@pytest.mark.parametrize("whose", ["task", "team", "asks a person"])
async def test_a_region_that_is_too_dear_leaves_the_ask_to_one_that_fits(stage, whose):
    """At the dear one the worst case of one ask is above the whole budget."""
    budget = {
        "task": "budgets: {task: {limit: 0.0009 USD}}",
        "team": "budgets: {team: {limit: 0.0009 USD}}",
        "asks a person": "budgets: {task: {limit: 0.0009 USD, at: {100%: ask}}}",
    }[whose]
    provider = Provider()
    orchestrator = stage.orchestrator(budget, script=provider, models=DEAR, clock=FakeClock())
    settings = orchestrator.policy.everyone.models["small"].endpoints
    first = {
        task: Pools(FakeClock()).ordered(settings, task)[0].origin
        for task in (f"t{number}" for number in range(8))
    }
    assert len(set(first.values())) == 2, "some tasks would ask the dear one first"
    async with orchestrator:
        for task in first:
            result = await orchestrator.run(GRAPH, {}, agent="a", task_id=task)
            assert result.status == "completed", result
    assert set(provider.asked) == {"eu/KEY_A"}
    assert {row.kind for row in stage.rows()} == {"ask"}


async def test_where_no_region_fits_the_halt_says_what_the_cheapest_needs(stage):
    provider = Provider()
    orchestrator = stage.orchestrator("", script=provider, models=DEAR, clock=FakeClock())
    async with orchestrator:
        halted = [
            await orchestrator.run(GRAPH, {}, agent="a", task_id=f"t{number}", budget="0.00001")
            for number in range(8)
        ]
    assert {one.halt.reason for one in halted} == {"budget"}
    assert all("needs $0.000172 for one attempt" in one.halt.detail for one in halted)
    assert provider.asked == []


@pytest.mark.parametrize(
    "error",
    [failed("server_error", 503), failed("rate_limited", 429, 5.0), failed("not_connected")],
    ids=lambda error: error.kind,
)
async def test_a_region_that_fits_is_asked_again_where_the_other_is_too_dear(stage, error):
    budget = "budgets: {task: {limit: 0.0009 USD}}"
    provider, answer = Provider(), Provider.__call__

    def once_down(request):
        provider.failing = {} if provider.asked else {"eu": error}
        return answer(provider, request)

    orchestrator = stage.orchestrator(budget, script=once_down, models=DEAR, clock=FakeClock())
    async with orchestrator:
        for number in range(8):
            provider.asked.clear()
            result = await orchestrator.run(GRAPH, {}, agent="a", task_id=f"t{number}")
            assert result.status == "completed", result
            assert provider.asked == ["eu/KEY_A"] * 5
    assert {row.kind for row in stage.rows()} == {"ask", "retry"}


async def test_what_no_budget_refused_is_not_asked_again(stage):
    provider = Provider()
    provider.failing["KEY"] = failed("server_error", 503)
    orchestrator = stage.orchestrator("limits: {model_calls: 1}", script=provider, models=DEAR)
    async with orchestrator:
        result = await orchestrator.run(GRAPH, {}, agent="a")
    assert result.halt.reason == "model_calls"
    assert len(provider.asked) == 1
