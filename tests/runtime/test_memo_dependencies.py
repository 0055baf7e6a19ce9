"""Each thing an answer depends on: a change of it alone makes exactly the dependants stale."""

import pytest

from orchestrator import step, tool_cost
from orchestrator.integrations import memoized_tool

POLICY = """
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 10, output: 10}}
steps:
  plan: {models: [small], memo: {fresh_for: 1h, share: team, reads: [catalog]}}
  write: {models: [large], memo: {fresh_for: 1h, share: team}}
  sort: {models: [small, large], checks: [arithmetic], memo: {fresh_for: 1h, share: team}}
"""
STEPS = ("plan", "write", "sort")


@pytest.fixture
def life(stage):
    """Runs a task that asks and calls everything once; what was really asked and called."""

    async def one(policy=POLICY, *, prompts="", tool="", before=None):
        called = set()

        @memoized_tool(fresh_for=3600, share="team", name="look", version=tool, reads=("catalog",))
        async def look():
            called.add("look")

        @memoized_tool(fresh_for=3600, share="team", name="price", reads=("prices",))
        async def price():
            called.add("price")

        async def node(_state):
            for name in STEPS:
                version = prompts if name == "write" else ""
                reply = await step(name).ask(name, prompt_version=version)
                called.update([] if reply.from_memo else [name])
            await look()
            await price()
            return {}

        async with stage.orchestrator(policy, models="") as orchestrator:
            if before is not None:
                await before(orchestrator)
            result = await stage.ask(orchestrator, graph=stage.graph(node))
        assert result.status == "completed", result.error
        return called

    return one


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("openai/small,", "openai/small-2,", {"plan", "sort"}),
        ("openai/large,", "openai/large-2,", {"write", "sort"}),
        ("openai/large,", "openai/large, effort: low,", {"write", "sort"}),
        ("large, max_output_tokens: 10", "large, max_output_tokens: 11", {"write", "sort"}),
        ("models: [large]", "models: [small]", {"write"}),
        ("checks: [arithmetic]", "checks: [arithmetic, schema]", {"sort"}),
        ("models: [small], memo", "checks: [form: '^ok'], models: [small], memo", {"plan"}),
        # The rules of the memo are those of who asks; names of sources are part of what is asked.
        ("reads: [catalog]", "reads: [catalog, stock]", {"plan"}),
        ("share: team, reads", "share: public, reads", {"plan"}),
        ("fresh_for: 1h, share: team, reads", "fresh_for: 2h, share: team, reads", set()),
        # What decides neither what a model answers nor what passes.
        ("output: 10}", "output: 11}", set()),
        ("models: [large]", "timeout: 9s, models: [large]", set()),
        ("models: [small, large]", "below_threshold: halt, models: [small, large]", set()),
        ("steps:", "budgets: {team: {limit: 9 USD}}\nlimits: {steps: 99}\nsteps:", set()),
    ],
)
async def test_a_change_of_the_policy(life, old, new, stale):
    assert POLICY.count(old) == 1
    everything = {*STEPS, "look", "price"}
    assert (await life(), await life()) == (everything, set())
    changed = POLICY.replace(old, new)
    assert (await life(changed), await life(changed)) == (stale, set())
    assert await life() == set()  # nothing of before was lost


async def test_a_change_of_a_prompt_or_of_a_tool(life):
    await life()
    assert await life(prompts="2") == {"write"}
    assert await life(prompts="2", tool="2") == {"look"}
    assert await life() == set()


@pytest.mark.parametrize(
    ("source", "stale"),
    [("catalog", {"plan", "look"}), ("prices", {"price"}), ("stock", set())],
)
async def test_a_change_of_a_source(life, source, stale):
    async def change(orchestrator):
        await orchestrator.touch(source, "v2")

    await life()
    assert await life(before=change) == stale
    assert await life(before=change) == set()  # the same version again


@pytest.mark.parametrize("told_by", ["step", "journaled tool", "task inside"])
async def test_what_a_resumed_task_was_told_before_is_not_told_as_new(stage, told_by):
    called, broken = [], [True]

    @tool_cost(name="plan", journal=True)
    async def plan():
        return (await step("plan").ask("q")).text

    async def inside():
        return (await stage.ask(orchestrator)).output["answer"]

    async def ask():
        return (await step("plan").ask("q")).text

    tell = {"step": ask, "journaled tool": plan, "task inside": inside}[told_by]

    @memoized_tool(fresh_for=3600, share="team", name="outer")
    async def outer():
        called.append("outer")
        text = await tell()
        if broken:
            raise OSError(broken.pop())
        return text

    async def node(_state):
        await outer()
        return {}

    graph = stage.graph(node)
    async with stage.orchestrator(POLICY, models="") as orchestrator:
        failed = await stage.ask(orchestrator, graph=graph, task_id="t")
        await orchestrator.touch("catalog", "v2")
        result = await orchestrator.resume("t", graph=graph)
        assert (failed.status, result.status) == ("failed", "completed")
        await stage.ask(orchestrator, graph=graph)
        await stage.ask(orchestrator, graph=graph)
    assert called == ["outer"] * 3
