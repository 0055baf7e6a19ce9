"""Who is refused after a failure: whoever answers at that place, not whoever has that name."""

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError

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
