"""What is compared when a model is chosen: the whole cost of asking it, and the time it takes."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from langgraph.graph import StateGraph
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.reports.explanation import in_words
from orchestrator.reports.routing import choices
from orchestrator.routing.learning.record import TELLING
from orchestrator.runtime.run.slot import Slot
from orchestrator.testing.fake_clock import FakeClock

SMALL, LARGE = 20_000, 200_000
"""What a reply of 20 tokens costs, in nano-dollars."""


MODELS = """
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 2, output: 2}}
"""


class State(TypedDict, total=False):
    wants: str
    rounds: int
    said: str


async def work(state: State) -> State:
    for number in range(state.get("rounds", 1)):
        reply = await step("s").ask(
            f"round {number}", check=lambda reply: state["wants"] in (reply.text, "any")
        )
    return {"said": f"{reply.model}: {reply.text}"}


GRAPH = StateGraph(State).add_node("work", work).set_entry_point("work")


def says(text, **usage):
    return Completion(text=text, finish_reason="stop", usage=Usage(19, 1, **usage))


def by_model(request):
    return says(request.settings.name)


async def asked(orchestrator, wants="any", **more):
    """Run a task; the replies are named for their model, and only that of ``wants`` passes."""
    given = {"wants": wants, "rounds": more.pop("rounds", 1)}
    return await orchestrator.run(GRAPH, given, agent="a", **more)


def models(result):
    return [one.model for one in result.attempts]


def candidates(stage, task_id):
    (last,) = [choice.body["stages"][0] for choice, _ in choices(stage.store, task_id)]
    return {one["model"]: one for one in last["candidates"]}


@pytest.mark.parametrize("kind", ["judge", "agreement"])
async def test_what_its_checks_cost_is_a_part_of_what_a_model_costs(stage, kind):
    check = {"judge": "judge: {model: small, budget: 1 USD}", "agreement": "agreement: small"}[kind]
    policy = f"steps: {{s: {{models: [small, large], checks: [{check}]}}}}"

    def script(request):
        if request.messages[0]["role"] == "system":
            return says(json.dumps({"acceptable": True}))
        return says("5")

    async with stage.orchestrator(policy, script=script) as orchestrator:
        first = await asked(orchestrator, "5")
        for _ in range(11):
            last = await asked(orchestrator, "5")
    assert models(last) == ["small", "small"]
    by_price = candidates(stage, first.task_id)
    assert by_price["small"]["cost"] > by_price["small"]["seen"] == 0
    known = candidates(stage, last.task_id)["small"]
    assert known["cost"] == pytest.approx(2 * SMALL / 1e9)


async def test_what_its_failures_and_retries_cost_is_its_own_cost_and_not_the_next_ones(stage):
    broken, number = ModelCallError(kind="broken", message="cut"), iter(range(1000))

    def script(request):
        if request.settings.name == "small":
            return broken
        return broken if next(number) % 2 == 0 else says("large")

    clock = FakeClock()
    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=script, clock=clock) as orchestrator:
        tried = []
        for _ in range(10):
            tried += (await asked(orchestrator)).attempts
            clock.advance(hours=1)  # or the latch asks neither for a while
        last = await asked(orchestrator)
    small = [one.cost.nano for one in tried if one.model == "small"]
    assert len(small) > 10, "it was asked again"
    (bound,) = {one.cost.nano for one in last.attempts if one.certainty == "estimated"}
    seen = candidates(stage, last.task_id)
    assert seen["small"]["cost"] == pytest.approx(sum(small) / 10 / 1e9)
    assert seen["large"]["cost"] == pytest.approx((bound + LARGE) / 1e9)
    assert models(last) == ["large", "large"], "what never answered is not asked any more"
    assert seen["small"]["accepted"] < 0.3


async def test_escalation_counts_so_a_cheap_model_goes_first_only_if_it_pays(stage):
    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=by_model, models=MODELS) as orchestrator:
        for _ in range(10):
            assert models(await asked(orchestrator, "large")) == ["small", "large"]
        assert models(await asked(orchestrator, "large")) == ["large"], "0 of 10, at half the price"


CACHED = """
models:
  near: {model: openai/near, max_output_tokens: 10,
         price: {input: 10, output: 10, cached_input: 1, cache_write: 10}}
  other: {model: openai/other, max_output_tokens: 10, price: {input: 8, output: 8}}
"""


def caching(request):
    written = {"cache_write_tokens": 18} if request.settings.name == "near" else {}
    return says(request.settings.name, **written)


async def test_a_prompt_that_a_provider_still_holds_is_not_left_for_a_cheaper_price(stage):
    policy = "steps: {s: {models: [near, other]}}"
    clock = FakeClock()
    async with stage.orchestrator(
        policy, script=caching, models=CACHED, clock=clock
    ) as orchestrator:
        done = await asked(orchestrator, "near", rounds=4)
        other = await asked(orchestrator, "near")
    assert models(done) == ["other", "near", "near", "near", "near"]
    assert models(other)[0] == "other", "another task's prompt is not held"
    first, second, *_ = choices(stage.store, done.task_id)
    assert [one["cache"] for one in first[0].body["stages"][0]["candidates"]] == [0, 0]
    assert {one["model"]: one["cache"] for one in second[0].body["stages"][0]["candidates"]} == {
        "near": pytest.approx(18 * 9 / 200, abs=1e-3),
        "other": 0,
    }
    assert "its provider still holds this task's last prompt, which takes 81% off" in "\n".join(
        in_words(*second)
    )


async def test_what_a_provider_holds_is_forgotten_after_minutes(stage):
    policy, clock = "steps: {s: {models: [near, other]}}", FakeClock()

    async def slowly(state: State) -> State:
        for number in range(2):
            await step("s").ask(f"round {number}", check=lambda reply: reply.text == "near")
            clock.advance(seconds=301)
        return {}

    graph = StateGraph(State).add_node("work", slowly).set_entry_point("work")
    async with stage.orchestrator(
        policy, script=caching, models=CACHED, clock=clock
    ) as orchestrator:
        done = await orchestrator.run(graph, {}, agent="a")
    assert models(done) == ["other", "near"] * 2


async def test_what_a_cache_takes_off_is_learned_and_no_reply_counts_as_cheaper_for_it(stage):
    """A provider that tells nothing of what it holds until it is read."""
    policy, clock = "steps: {s: {models: [near]}}", FakeClock()
    number = iter(range(1000))

    def silent(request):
        return says("near", cached_input_tokens=18 * (next(number) % 2))

    async with stage.orchestrator(
        policy, script=silent, models=CACHED, clock=clock
    ) as orchestrator:
        for _ in range(8):
            done = await asked(orchestrator, "near", rounds=2)
    first, second = (
        choice.body["stages"][0]["candidates"][0]
        for choice, _ in choices(stage.store, done.task_id)
    )
    assert (first["cache"], second["cache"]) == (0, pytest.approx(0.81, abs=1e-3))
    assert first["cost"] == pytest.approx(LARGE / 1e9)
    assert second["cost"] == pytest.approx(LARGE / 1e9 * 0.19, rel=0.01)


def slowly(clock):
    def answer(request):
        clock.advance(seconds=10.0 if request.settings.name == "small" else 1.0)
        return says(request.settings.name)

    return answer


async def known(stage, clock, times=22):
    """Let it be known: the small one takes 10 s and does half the time, the large one 1 s."""
    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=slowly(clock), clock=clock) as orchestrator:
        await asked(orchestrator, "small")
        assert models(await asked(orchestrator, "large")) == ["small", "large"]
        ledger = orchestrator._services.ledger
        seen = [one for one in await ledger.lessons("research") if one.kind == "observation"]
        assert [one.body["seconds"] for one in seen] == [10, 10, 1]
        for number in range(1, times):
            again = [
                replace(
                    one,
                    subject=f"{one.subject} {number}",
                    body={**one.body, "ask": f"{one.body['ask']} {number}"},
                )
                for one in seen
            ]
            ledger.note(again)


@pytest.mark.parametrize(("price", "first"), [("0.000001", "small"), ("0.001", "large")])
async def test_time_has_the_price_that_the_policy_gives_it(stage, price, first):
    clock = FakeClock()
    await known(stage, clock)
    policy = f"steps: {{s: {{models: [small, large], latency_price: {price} USD}}}}"
    async with stage.orchestrator(policy, script=slowly(clock), clock=clock) as orchestrator:
        done = await asked(orchestrator)
    assert models(done) == [first]
    seen = candidates(stage, done.task_id)
    assert seen["small"]["seconds"] == 10
    assert seen["small"]["waiting"] == pytest.approx(10 * float(price))
    assert seen["small"]["cost"] == pytest.approx(SMALL / 1e9), "it is no cost"
    words = "\n".join(in_words(*choices(stage.store, done.task_id)[0]))
    assert f"10.0 s, which count as ${(10 * Decimal(price)).normalize():f}" in words


async def test_who_is_too_slow_for_the_time_that_is_left_is_not_asked(stage):
    clock = FakeClock()
    await known(stage, clock)
    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=slowly(clock), clock=clock) as orchestrator:
        enough = await asked(orchestrator, timeout="11s")
        short = await asked(orchestrator, timeout="5s")
        settled = await asked(orchestrator, "small", timeout="5s")
        shorter = await asked(orchestrator, timeout="500ms")
        on = await orchestrator.resume(shorter.task_id, extend={"timeout": "2s"})
    assert models(enough) == ["small"]
    assert models(short) == models(settled) == ["large"]
    assert settled.status == "completed", "what is in hand answers"
    assert (shorter.status, shorter.attempts) == ("halted", ())
    assert (shorter.halt.reason, shorter.halt.step) == ("timeout", "s")
    assert "0.5 s are left, and less than one in ten of its calls ends within 1 s (large)" in (
        shorter.halt.detail
    )
    assert models(on) == ["large"]
    words = "\n".join(in_words(*choices(stage.store, short.task_id)[0]))
    assert "too slow for the 5.0 s left: small" in words


async def test_while_too_few_times_are_known_nobody_is_refused_for_time(stage):
    clock = FakeClock()
    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=slowly(clock), clock=clock) as orchestrator:
        for _ in range(TELLING - 1):
            await asked(orchestrator, "small")
        cold = await asked(orchestrator, "small", timeout="5s")
        known = await asked(orchestrator, "small", timeout="5s")
    assert models(cold) == ["small"]
    assert models(known) == ["large"]


async def test_nobody_waits_for_longer_than_leaves_the_time_to_be_answered():
    slot = Slot(needs_s=60)
    with pytest.raises(TimeoutError):
        async with slot.during("waiting", 59):
            await asyncio.sleep(3600)
    async with slot.during("wire", 59):
        await asyncio.sleep(0)


async def test_a_retry_that_would_come_too_late_is_not_made(stage):
    clock = FakeClock()
    await known(stage, clock)

    def broken(request):
        clock.advance(seconds=4.5)
        return ModelCallError(kind="broken", message="cut")

    policy = "steps: {s: {models: [small, large]}}"
    async with stage.orchestrator(policy, script=broken, clock=clock) as orchestrator:
        retried = await asked(orchestrator, timeout="60s")
        once = await asked(orchestrator, timeout="5s")
    assert models(retried).count("large") > 1
    assert models(once) == ["large"]


FAR = """
models:
  far: {model: openai/far, max_output_tokens: 3000, price: {input: 1, output: 1}}
  near: {model: openai/near, max_output_tokens: 10, price: {input: 1, output: 100}}
"""


async def test_what_failed_before_a_budget_refused_its_retry_is_no_cost_of_the_next_one(stage):
    """Far is cheaper, but not where it may reply at length: there is no money for that twice."""
    broken = ModelCallError(kind="broken", message="cut")
    policy = "budgets: {task: {limit: 0.0045 USD}}"

    def script(request):
        return broken if request.settings.name == "far" else says("near")

    clock = FakeClock()
    async with stage.orchestrator(policy, script=script, models=FAR, clock=clock) as orchestrator:
        tried = (await asked(orchestrator)).attempts
        seen = await orchestrator._services.ledger.lessons("research")
    assert [one.model for one in tried] == ["far", "near"]
    assert [
        (one.body["action"], one.body["cost"]) for one in seen if one.kind == "observation"
    ] == [
        ("openai/far|3000|", pytest.approx(float(tried[0].cost.usd))),
        ("openai/near|10|", pytest.approx(float(tried[1].cost.usd))),
    ]
