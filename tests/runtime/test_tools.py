"""Tools written by hand: counted, paid, timed, journaled."""

import asyncio
import time
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from orchestrator import Fenced, Money, step, tool_cost
from orchestrator.core.events import AttemptEnded, ToolFailed

CENT = Money.from_usd("0.01")


class State(TypedDict, total=False):
    out: str


@pytest.fixture
def stage(stage_on_each_store):
    return stage_on_each_store


def graph_of(node):
    return StateGraph(State).add_node("n", node).add_edge(START, "n")


def of_tools(result):
    return [(one.step, one.cost, one.certainty) for one in result.attempts if ":" in one.step]


async def run(stage, node, text="", **more):
    async with stage.orchestrator(text, **more) as orchestrator:
        return await orchestrator.run(graph_of(node), {"out": ""}, agent="a", task_id="t")


class Search:
    """A tool that remembers how often it was really called."""

    def __init__(self, answer="found"):
        self.calls = []
        self.answer = answer

    async def __call__(self, query: str) -> str:
        self.calls.append(query)
        await asyncio.sleep(0)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def searching(search, **own):
    @tool_cost(**own)
    async def search_web(query: str) -> object:
        return await search(query)

    return search_web


async def test_a_call_is_paid_and_stands_in_the_ledger_under_its_name(stage):
    tool = searching(Search(), price="0.01 USD")

    async def node(state: State) -> State:
        return {"out": await tool("cats")}

    result = await run(stage, node)
    assert result.output == {"out": "found"}
    assert of_tools(result) == [("tool:search_web", CENT, "known")]
    assert result.cost.total == CENT
    (row,) = stage.rows()
    assert (row.kind, row.model, row.cost, row.price_source) == ("tool", "search_web", CENT, "code")
    (ended,) = [event for event in stage.events if isinstance(event, AttemptEnded)]
    assert (ended.kind, ended.cost) == ("tool", CENT)


async def test_what_the_policy_says_of_a_tool_wins(stage):
    tool = searching(Search(), price="0.05 USD")

    async def node(state: State) -> State:
        return {"out": await tool("cats")}

    result = await run(stage, node, "tools: {'search_*': {price: 0.01 USD}}")
    assert of_tools(result) == [("tool:search_web", CENT, "known")]


async def test_tools_ask_no_model_so_they_count_for_no_model_limit(stage):
    tool = searching(Search(), price="0.01")

    async def node(state: State) -> State:
        for number in range(3):
            await tool(str(number))
        return {"out": (await step("s").ask("hi")).text}

    result = await run(stage, node, "limits: {model_calls: 1, tool_calls: 2}")
    assert result.halt.reason == "tool_calls"
    async with stage.orchestrator("limits: {model_calls: 1, tool_calls: 2}") as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), extend={"tool_calls": 1})
    assert done.status == "completed", done


async def test_a_limit_of_one_tool_leaves_the_others_alone(stage):
    first, other = Search(), Search("other")
    tools = searching(first), tool_cost(name="other")(other.__call__)

    async def node(state: State) -> State:
        for number in range(3):
            await tools[1](str(number))
            await tools[0](str(number))
        return {"out": "done"}

    policy = "tools: {search_web: {limit: 2}}"
    result = await run(stage, node, policy)
    assert (result.halt.reason, str(result.halt.limit)) == ("tool_calls", "2 calls of search_web")
    assert len(first.calls) == 2
    assert len(other.calls) == 3
    async with stage.orchestrator(policy) as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), extend={"tool_calls": 1})
    assert done.status == "completed"


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_journaled_tool_is_not_called_again_by_a_resume(stage, is_async):
    search = Search({"pages": ["a\ud800", 1, None, 0.5]})

    def plain(query: str) -> object:
        search.calls.append(query)
        return search.answer

    tool = tool_cost("0.01", name="search", journal=True)(search.__call__ if is_async else plain)

    async def call(query):
        return await tool(query) if is_async else await asyncio.to_thread(tool, query)

    got = []

    async def node(state: State) -> State:
        got.append(await call("cats"))
        await step("s").ask("hi")
        got.append(await call("dogs"))
        return {"out": "done"}

    halted = await run(stage, node, "budgets: {task: {limit: 0.015 USD}}")
    assert halted.halt.reason == "budget"
    assert halted.halt.step == "tool:search"
    assert search.calls == ["cats"]
    async with stage.orchestrator("budgets: {task: {limit: 0.015 USD}}") as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), add_budget="0.01")
    assert done.status == "completed", done
    assert search.calls == ["cats", "dogs"]
    assert got == [search.answer] * 3
    assert stage.asked == ["hi"]
    assert done.cost.total == CENT * 2 + Money(20_000)


async def test_one_that_is_not_journaled_runs_and_costs_again(stage):
    search = Search()
    tool = searching(search, price="0.01")

    async def node(state: State) -> State:
        await tool("cats")
        return {"out": interrupt("well?")}

    halted = await run(stage, node)
    assert halted.halt.reason == "question"
    async with stage.orchestrator() as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), answer="go on")
    assert done.status == "completed"
    assert (len(search.calls), done.cost.total) == (2, CENT * 2)


async def test_the_same_call_twice_is_two_calls(stage):
    search = Search()
    tool = searching(search, journal=True)

    async def node(state: State) -> State:
        return {"out": await tool("cats") + await tool("cats")}

    assert (await run(stage, node)).output == {"out": "foundfound"}
    assert len(search.calls) == 2


async def test_what_is_journaled_must_be_plain_data(stage):
    tool = searching(Search(("a", "tuple")), price="0.01", journal=True)

    async def node(state: State) -> State:
        return {"out": await tool("cats")}

    result = await run(stage, node)
    assert result.status == "failed"
    assert "plain data" in result.error
    assert of_tools(result) == [("tool:search_web", CENT, "estimated")]


async def test_a_failure_is_booked_as_paid_and_told(stage):
    tool = searching(Search(RuntimeError("no net")), price="0.01")

    async def node(state: State) -> State:
        try:
            await tool("cats")
        except RuntimeError as error:
            return {"out": str(error)}

    result = await run(stage, node)
    assert result.output == {"out": "no net"}
    assert of_tools(result) == [("tool:search_web", CENT, "estimated")]
    (failed,) = [event for event in stage.events if isinstance(event, ToolFailed)]
    assert (failed.tool, failed.error) == ("search_web", "RuntimeError: no net")


async def test_a_tool_that_takes_too_long_is_ended(stage):
    @tool_cost(timeout="20ms")
    async def slow() -> None:
        await asyncio.sleep(60)

    @tool_cost(timeout="20ms")
    def slow_thread() -> None:
        time.sleep(0.2)

    @tool_cost(timeout="10s")
    async def raises() -> None:
        message = "its own"
        raise TimeoutError(message)

    told = []

    async def node(state: State) -> State:
        for call in (slow, raises):
            with pytest.raises(TimeoutError) as error:
                await call()
            told.append(str(error.value))
        with pytest.raises(TimeoutError) as error:
            slow_thread()
        told.append(str(error.value))
        return {}

    result = await run(stage, node)
    assert result.status == "completed", result
    assert told == [
        "tool 'slow' took longer than the 0.02 s it may",
        "its own",
        "tool 'slow_thread' took longer than the 0.02 s it may",
    ]


async def test_a_tool_does_not_wait_for_money_that_it_holds_itself(stage):
    ran = []

    @tool_cost("0.001")
    async def summarize(text: str) -> str:
        ran.append(text)
        return (await step("s").ask(text)).text

    async def node(state: State) -> State:
        return {"out": await summarize("hi")}

    # Without the tool there is enough for the model, with it there is not.
    policy = "budgets: {task: {limit: 0.0011 USD}}\nlimits: {timeout: 5s}"
    halted = await run(stage, node, policy)
    assert halted.halt.reason == "budget", halted.halt
    assert halted.cost.total == Money.from_usd("0.001")
    async with stage.orchestrator(policy) as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), add_budget="0.001")
    assert done.output == {"out": "ok"}
    assert ran == ["hi", "hi"]
    assert done.cost.total == Money.from_usd("0.00102"), "going on is not paid again"


async def test_one_that_was_paid_early_and_ended_is_paid_again_when_it_runs_again(stage):
    @tool_cost("0.001")
    async def summarize(text: str) -> str:
        return (await step("s").ask(text)).text

    async def node(state: State) -> State:
        await summarize("hi")
        return {"out": interrupt("well?")}

    await run(stage, node)
    async with stage.orchestrator() as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), answer="go on")
    assert done.cost.total == Money.from_usd("0.00202")


async def test_a_halt_inside_a_tool_leaves_it_unpaid_until_it_runs_again(stage):
    ran = []

    @tool_cost(journal=True)
    async def summarize(text: str) -> str:
        ran.append(text)
        first = (await step("s").ask("one")).text
        return first + (await step("s").ask("two")).text

    async def node(state: State) -> State:
        return {"out": await summarize("hi")}

    halted = await run(stage, node, "limits: {model_calls: 1}")
    assert halted.halt.reason == "model_calls"
    async with stage.orchestrator("limits: {model_calls: 1}") as orchestrator:
        done = await orchestrator.resume("t", graph=graph_of(node), extend={"model_calls": 1})
    assert done.output == {"out": "okok"}
    assert (ran, stage.asked) == (["hi", "hi"], ["one", "two"])


async def test_many_at_once_never_pass_the_budget(stage):
    search = Search()
    tool = searching(search, price="0.01")

    async def node(state: State) -> State:
        await asyncio.gather(*(tool(str(number)) for number in range(20)))
        return {}

    result = await run(stage, node, "budgets: {task: {limit: 0.055 USD}}")
    assert result.halt.reason == "budget"
    assert len(search.calls) == 5
    assert result.cost.total == CENT * 5


async def test_what_runs_beside_a_halt_ends_and_is_journaled(stage):
    release = asyncio.Event()
    calls = []

    @tool_cost("0.01", journal=True)
    async def slow(text: str) -> str:
        calls.append(text)
        asyncio.get_running_loop().call_later(0.3, release.set)
        await release.wait()
        return text

    @tool_cost("0.02")
    async def dear() -> None:
        pass

    async def node(state: State) -> State:
        async def late():
            while not calls:
                await asyncio.sleep(0)
            await dear()

        return {"out": (await asyncio.gather(slow("once"), late()))[0]}

    policy = "budgets: {task: {limit: 0.015 USD}}"
    async with stage.orchestrator(policy) as orchestrator:
        halted = await orchestrator.run(graph_of(node), {"out": ""}, agent="a", task_id="t")
        assert release.is_set(), "it returned while a paid tool still ran"
        assert halted.halt.reason == "budget"
        done = await orchestrator.resume("t", graph=graph_of(node), add_budget="0.02")
    assert done.output == {"out": "once"}
    assert calls == ["once"]


async def test_outside_of_a_task_it_is_a_function_or_a_task_of_its_own(stage):
    search = Search()
    tool = searching(search, price="0.01")
    plain = tool_cost("0.01", name="plain")(lambda: "plain")
    assert await tool("cats") == "found"
    async with stage.orchestrator():
        assert await tool("dogs") == "found"
        with pytest.raises(RuntimeError, match="would block this event loop"):
            plain()
        assert await asyncio.to_thread(plain) == "plain"
    assert plain() == "plain"
    assert [row.step for row in stage.rows()] == ["tool:search_web", "tool:plain"]


def test_mistakes_are_told_together():
    with pytest.raises(ValueError, match=r"(?s)price: .*timeout: "):
        tool_cost("free", timeout="soon")


async def test_a_tool_whose_owner_was_replaced_is_in_doubt_and_runs_again(stage):
    reached, release = asyncio.Event(), asyncio.Event()
    calls = []

    @tool_cost("0.01", journal=True)
    async def search(query: str) -> str:
        calls.append(query)
        if len(calls) == 1:
            reached.set()
            await release.wait()
        return "found"

    async def node(state: State) -> State:
        return {"out": await search("cats")}

    async with stage.orchestrator() as first, stage.orchestrator() as second:
        given = {"out": ""}
        old = asyncio.create_task(first.run(graph_of(node), given, agent="a", task_id="t"))
        await reached.wait()
        done = await second.resume("t", graph=graph_of(node))
        release.set()
        with pytest.raises(Fenced):
            await old
    assert done.output == {"out": "found"}
    assert of_tools(done) == [
        ("tool:search", CENT, "unknown"),
        ("tool:search", CENT, "known"),
    ]
    assert calls == ["cats", "cats"]
