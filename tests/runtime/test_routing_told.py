"""What is told of routing: why each model was asked, and what is believed of each step."""

import json
from decimal import Decimal

from langgraph.graph import START, StateGraph
from typer.testing import CliRunner
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.cli.main import app
from orchestrator.reports.routing import choices, status


class State(TypedDict, total=False):
    model: str


async def ask(state: State) -> State:
    reply = await step("s").ask("what is one and one", check=lambda reply: "2" in reply.text)
    return {"model": reply.model}


GRAPH = StateGraph(State).add_node("node", ask).add_edge(START, "node")
POLICY = "budgets: {task: {limit: 1 USD}}\nsteps: {s: {confidence: 0.8}}"


def said(*arguments):
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == 0, found.output
    return found.output


async def test_each_choice_is_explained_in_words(stage, invoked):
    script = {"small": "I do not know", "large": "It is 2"}
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        result = await orchestrator.run(GRAPH, {}, agent="a")
    words = await invoked(said, "task", "explain", result.task_id, "--store", stage.store)

    lines = [" ".join(line.split()) for line in words.splitlines()]
    assert lines[0] == (
        "Step s asks for a confidence of 0.8; its confidence is uncalibrated"
        " (0 outcomes are known). Where no reply reaches that, the best one is taken."
    )
    assert lines[1].startswith("1. Asked small, with $1.00 left of the task's budget.")
    assert "- small: expected $" in lines[2]
    assert any(line.startswith("2. Asked large") for line in lines)
    assert any("small: complete passed, function failed" in line for line in lines)
    assert lines[-1] == "Answered by large."

    as_json = await invoked(
        said, "task", "explain", result.task_id, "--store", stage.store, "--json"
    )
    (only,) = json.loads(as_json)
    assert [stage["chosen"] for stage in only["choice"]["body"]["stages"]] == ["small", "large"]


async def test_the_status_of_a_step_stands_beside_its_baselines(stage, invoked):
    script = {"small": "It is 2", "large": "It is 2, surely"}
    async with stage.orchestrator(POLICY, script=script) as orchestrator:
        for number in range(40):
            result = await orchestrator.run(GRAPH, {}, agent="a")
            await orchestrator.feedback(result.task_id, success=number % 20 != 7)
    words = await invoked(said, "routing", "status", "--store", stage.store)
    (found,) = json.loads(
        await invoked(said, "routing", "status", "--store", stage.store, "--json")
    )

    assert (found["state"], found["threshold"], found["asks"]) == ("calibrated", 0.8, 40)
    assert found["policy"]["quality"] == 38 / 40
    assert found["baselines"]["all_cheapest"]["cost_usd"] == found["policy"]["cost_usd"]
    assert {"all_cheapest", "best_single", "random_mix", "oracle"} == found["baselines"].keys()
    assert "calibrated, 40 labels" in words
    assert "95.0%" in words


async def test_a_reply_that_a_resume_judges_anew_is_one_reply(stage, invoked):
    halting = "steps: {s: {confidence: 0.8, models: [small], below_threshold: halt}}"
    async with stage.orchestrator(halting, script=["I do not know"]) as orchestrator:
        await orchestrator.run(GRAPH, {}, agent="a", task_id="t")
        for _ in range(2):
            again = await orchestrator.resume("t")
            assert again.halt.reason == "confidence"
    (found,) = json.loads(
        await invoked(said, "routing", "status", "--store", stage.store, "--json")
    )
    words = await invoked(said, "task", "explain", "t", "--store", stage.store)

    assert [one["replies"] for one in found["actions"]] == [1]
    assert words.count("Reply of small") == 1


async def test_nothing_learned_is_said_plainly(stage, invoked):
    async with stage.orchestrator(POLICY):
        pass
    assert "Nothing was learned yet" in await invoked(
        said, "routing", "status", "--store", stage.store
    )


async def test_the_status_is_of_the_version_that_was_asked_last(stage):
    versions = iter(("old", "new", "old"))

    async def versioned(state: State) -> State:
        reply = await step("s").ask("what is one and one", prompt_version=next(versions))
        return {"model": reply.model}

    graph = StateGraph(State).add_node("node", versioned).add_edge(START, "node")
    counted = []
    async with stage.orchestrator(POLICY, script=["2"] * 3) as orchestrator:
        for _ in range(3):
            await orchestrator.run(graph, {}, agent="a")
            (found,) = status(stage.store)
            counted.append((found.version, found.asks))
    (old, one), (new, another), (last, asks) = counted
    assert (one, another, last, asks) == (1, 1, old, 2)
    assert new != old


TWO_HOSTS = """
models:
  near: {model: openai/one, max_output_tokens: 10, price: {input: 1, output: 1}}
  other: {model: openai/other, max_output_tokens: 10, price: {input: 2, output: 2}}
  far: {model: openai/one, api_base: https://far.example/v1, max_output_tokens: 10,
        price: {input: 10, output: 10}}
"""


async def test_one_model_under_two_names_has_the_worst_case_of_the_one_that_is_asked(stage):
    script = {"near": "no", "other": "no", "far": "2"}
    policy = "budgets: {task: {limit: 1 USD}}\nsteps: {s: {models: [near, other, far]}}"
    async with stage.orchestrator(policy, script=script, models=TWO_HOSTS) as orchestrator:
        result = await orchestrator.run(GRAPH, {}, agent="a", task_id="t")
    assert [one.model for one in result.attempts] == ["near", "other", "far"]
    ((choice, _),) = choices(stage.store, "t")
    bounds = [
        {one["model"]: one["bound"] for one in each["candidates"]} for each in choice.body["stages"]
    ]
    near, far = bounds[0]["near"], bounds[2]["far"]
    assert Decimal(far) == 10 * Decimal(near)
    assert [sorted(one) for one in bounds] == [["near", "other"], ["far", "other"], ["far"]]
