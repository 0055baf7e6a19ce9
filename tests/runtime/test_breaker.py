"""Who is refused after a failure: whoever answers at that place, not whoever has that name."""

import asyncio
from contextlib import suppress

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import step, tool_cost
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.testing import FakeClock

OTHER_PLACE = """
agents:
  elsewhere: {models: {small: {api_base: "http://127.0.0.1:9/v1"}}}
"""
TWO_NAMES = """
models:
  small: {model: openai/one, max_output_tokens: 10, price: {input: 1, output: 1}}
  same: {model: openai/one, max_output_tokens: 20, price: {input: 1, output: 1}}
"""


class State(TypedDict, total=False):
    done: int


async def once(state: State) -> State:
    await step("s").ask("hi")
    return {"done": 1}


GRAPH = StateGraph(State).add_node("node", once).add_edge(START, "node")


async def test_a_wrong_key_at_one_address_shuts_out_nobody_at_another(stage):
    def script(request):
        if request.settings.api_base:
            return ModelCallError("rejected", "bad key", status=401)
        return Completion(text="ok", finish_reason="stop", usage=Usage(10, 1))

    policy = f"{OTHER_PLACE}\nsteps: {{s: {{models: [small]}}}}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        refused = [await orchestrator.run(GRAPH, {}, agent="elsewhere") for _ in range(2)]
        fine = await orchestrator.run(GRAPH, {}, agent="here")

    assert [one.halt.reason for one in refused] == ["no_model"] * 2
    assert fine.status == "completed"
    assert len(stage.asked) == 2, "the second ask at the failing address is not even sent"


async def test_one_place_under_two_names_is_refused_under_both(stage):
    def script(request):
        return ModelCallError("rejected", "bad key", status=401)

    async with stage.orchestrator(models=TWO_NAMES, script=script) as orchestrator:
        result = await orchestrator.run(GRAPH, {}, agent="a")

    assert result.halt.reason == "no_model"
    assert len(stage.asked) == 1


async def test_a_trial_that_waited_for_money_in_vain_is_the_next_ones(stage):
    """Who is let through to a model that failed, and gives up before asking it, tried nothing."""
    failing, held, is_over = [True], asyncio.Event(), asyncio.Event()

    def script(_):
        if failing:
            return ModelCallError("rejected", "bad key", status=401)
        return Completion(text="ok", finish_reason="stop", usage=Usage(10, 1))

    @tool_cost("0.00149")
    async def slow():
        held.set()
        await is_over.wait()

    async def holding(state: State) -> State:
        await slow()
        return {"done": 1}

    async def impatient(state: State) -> State:
        with suppress(TimeoutError):
            await asyncio.wait_for(step("s").ask("hi"), 0.2)
        is_over.set()
        return {"done": 1}

    def graph_of(node):
        return StateGraph(State).add_node("node", node).add_edge(START, "node")

    clock = FakeClock()
    policy = "budgets: {agent: {limit: 0.0015 USD}}\nsteps: {s: {models: [small]}}"
    async with stage.orchestrator(policy, script=script, clock=clock) as orchestrator:
        refused = await orchestrator.run(GRAPH, {}, agent="b")
        assert refused.halt.reason == "no_model"
        failing.clear()
        clock.advance(seconds=60)
        busy = asyncio.create_task(orchestrator.run(graph_of(holding), {}, agent="a"))
        await held.wait()
        gave_up = await orchestrator.run(graph_of(impatient), {}, agent="a")
        await busy
        assert (gave_up.status, gave_up.attempts) == ("completed", ())
        answered = await orchestrator.run(GRAPH, {}, agent="b")

    assert answered.status == "completed", answered.halt
