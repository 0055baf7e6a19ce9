"""What a task has been given narrows what its later answers are shared with."""

from typing import TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import current_task, step
from orchestrator.integrations import memoized_tool

STEPS = """
steps:
  look: {models: [small], memo: {fresh_for: 1h, share: %s}}
  plan: {models: [small], memo: {fresh_for: 1h, share: org, labels: {partner: team}}}
"""


class State(TypedDict, total=False):
    shared: bool


def graph_of(before) -> StateGraph:
    """First ``before``; then a step that the whole org shares asks what everyone asks."""

    async def first(_state: State) -> State:
        await before()
        return {}

    async def plan(_state: State) -> State:
        return {"shared": (await step("plan").ask("everyone's")).from_memo}

    graph = StateGraph(State).add_node("first", first).add_node("plan", plan)
    return graph.add_edge("first", "plan").set_entry_point("first")


async def is_shared(orchestrator, before, *, user):
    return (await orchestrator.run(graph_of(before), {}, agent="a", user=user)).output["shared"]


@memoized_tool(fresh_for=60, share="org")
async def shared_tool(account: str) -> str:
    return account


@memoized_tool(fresh_for=60)
async def own_tool(account: str) -> str:
    return account


def of_account(account: str) -> tuple[str, ...]:
    return ("private",) if account == "mine" else ()


@memoized_tool(fresh_for=60, share="org", labels=of_account)
async def labelled_tool(account: str) -> str:
    return account


async def nothing() -> None: ...


async def a_wide_step() -> None:
    await step("look").ask("look")


async def a_private_ask() -> None:
    await step("look").ask("look", labels=("private",))


async def a_secret_ask() -> None:
    await step("look").ask("look", labels=("secret",))


async def a_label() -> None:
    current_task().label("private")


@pytest.mark.parametrize(
    ("before", "share", "bob", "alice"),
    [
        (nothing, "user", True, True),
        (a_wide_step, "org", True, True),
        (a_wide_step, "user", False, True),
        (a_private_ask, "org", False, True),
        (a_secret_ask, "org", False, False),
        (a_label, "org", False, True),
        (lambda: shared_tool("x"), "org", True, True),
        (lambda: own_tool("x"), "org", False, True),
        (lambda: labelled_tool("x"), "org", True, True),
        (lambda: labelled_tool("mine"), "org", False, True),
    ],
)
async def test_an_answer_is_shared_as_narrowly_as_what_was_read_before_it(
    stage, before, share, bob, alice
):
    async with stage.orchestrator(STEPS % share) as orchestrator:
        for _ in range(2):  # paid, then perhaps from the memo: what is read counts both times
            await is_shared(orchestrator, before, user="alice")
        assert await is_shared(orchestrator, before, user="alice") is alice
        assert await is_shared(orchestrator, before, user="bob") is bob


async def test_what_was_read_before_a_halt_narrows_after_it_in_another_process(stage):
    async def node(_state: State) -> State:
        await own_tool("x")
        return {}

    async def again(_state: State) -> State:
        if lives == 1:
            await orchestrator.pause("t")
        return {"shared": (await step("plan").ask("everyone's")).from_memo}

    lives = 1
    graph = StateGraph(State).add_node("node", node).add_node("again", again)
    graph.add_edge("node", "again").set_entry_point("node")
    async with stage.orchestrator(STEPS % "org") as orchestrator:
        halted = await orchestrator.run(graph, {}, agent="a", user="alice", task_id="t")
        assert halted.status == "halted"
    lives = 2
    async with stage.orchestrator(STEPS % "org") as orchestrator:
        assert (await orchestrator.resume("t", graph=graph)).status == "completed"
        assert not await is_shared(orchestrator, nothing, user="bob")


async def test_a_task_inside_another_knows_what_that_was_given_and_tells_it(stage):
    async def inner_node(_state: State) -> State:
        await own_tool("x")
        return {}

    inner = StateGraph(State).add_node("own", inner_node).set_entry_point("own")

    async def child() -> None:
        await orchestrator.run(inner, {}, agent="b")

    async with stage.orchestrator(STEPS % "org") as orchestrator:
        await is_shared(orchestrator, child, user="alice")
        assert not await is_shared(orchestrator, nothing, user="bob")


async def test_another_version_of_a_prompt_is_another_question(stage):
    async def node(_state: State) -> State:
        reply = await step("plan").ask("q", prompt_version=next(versions))
        return {"shared": reply.from_memo}

    graph = StateGraph(State).add_node("node", node).set_entry_point("node")
    versions = iter("11221")
    async with stage.orchestrator(STEPS % "org") as orchestrator:
        seen = [(await orchestrator.run(graph, {}, agent="a")).output["shared"] for _ in range(5)]
    assert seen == [False, True, False, True, True]
