"""However a graph is written: halted at every single ask and resumed, it ends as if never halted,
and nothing is asked twice."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, RetryPolicy, Send
from pydantic import BaseModel

from orchestrator import step


class State(TypedDict, total=False):
    depth: int
    done: Annotated[list[str], operator.add]


async def ask(number: int, *more: Any) -> str:
    reply = await step("s").ask(f"<{number}> {more}")
    return f"{number}{more}:{len(reply.text)}"


def chain(*nodes, state=State) -> StateGraph:
    graph = StateGraph(state).add_sequence(list(nodes))
    return graph.set_entry_point(nodes[0][0] if isinstance(nodes[0], tuple) else nodes[0].__name__)


def loop_in_a_loop() -> StateGraph:
    async def inner_node(state: State) -> State:
        return {"done": [await ask(len(state["done"]))]}

    inner = StateGraph(State).add_node("inner_node", inner_node).add_edge(START, "inner_node")
    inner.add_conditional_edges(
        "inner_node",
        lambda state: END if len(state["done"]) % 3 == 0 else "inner_node",
        ["inner_node", END],
    )

    async def outer_node(state: State) -> State:
        return {"done": [await ask(20, len(state["done"]))]}

    outer = StateGraph(State).add_node("outer_node", outer_node)
    # A subgraph as a node gives back all of its state: it must not add what was there before.
    whole = inner.compile()

    async def call_inner(state: State) -> State:
        found = await whole.ainvoke({"done": list(state["done"])})
        return {"done": found["done"][len(state["done"]) :]}

    outer.add_node("call_inner", call_inner).add_edge(START, "outer_node")
    outer.add_edge("outer_node", "call_inner")
    outer.add_conditional_edges(
        "call_inner",
        lambda state: END if len(state["done"]) > 6 else "outer_node",
        ["outer_node", END],
    )
    return outer


class Inner(TypedDict, total=False):
    number: int
    text: str


def a_subgraph() -> Any:
    async def first(state: Inner) -> Inner:
        return {"text": await ask(state["number"], "first")}

    async def second(state: Inner) -> Inner:
        return {"text": state["text"] + await ask(state["number"], "second")}

    return chain(first, second, state=Inner).compile()


def subgraphs_called_several_times_in_one_node() -> StateGraph:
    inner = a_subgraph()

    async def call(state: State) -> State:
        one = await inner.ainvoke({"number": 1})
        same = await inner.ainvoke({"number": 1})
        both = await asyncio.gather(inner.ainvoke({"number": 2}), inner.ainvoke({"number": 3}))
        return {"done": [one["text"], same["text"], *(found["text"] for found in both)]}

    return chain(call)


def three_levels() -> StateGraph:
    inner = a_subgraph()

    async def calls(state: Inner) -> Inner:
        found = [await inner.ainvoke({"number": state["number"]}) for _ in range(2)]
        return {"text": "".join(one["text"] for one in found)}

    middle = chain(calls, state=Inner).compile()

    class Item(TypedDict, total=False):
        number: int
        text: str
        done: Annotated[list[str], operator.add]

    async def keep(state: Item) -> Item:
        return {"done": [state["text"]]}

    graph = StateGraph(Item)
    graph.add_node("middle", middle).add_edge("middle", "keep").add_node("keep", keep)

    async def leave(state: Item) -> Item:
        return {"number": 5}

    graph.add_node("leave", leave).add_edge(START, "leave").add_edge("leave", "middle")
    return graph


def the_same_question_at_once() -> StateGraph:
    async def node(state: State) -> State:
        found = await asyncio.gather(*(ask(1) for _ in range(3)))
        again = [await ask(1) for _ in range(2)]
        return {"done": [*found, *again]}

    return chain(node)


def retried_by_langgraph() -> StateGraph:
    tries: list[int] = []

    async def node(state: State) -> State:
        found = [await ask(1), await ask(1)]
        tries.append(1)
        if len(tries) % 2:
            message = "not yet"
            raise ConnectionError(message)
        return {"done": [*found, await ask(2)]}

    graph = StateGraph(State).add_edge(START, "node")
    policy = RetryPolicy(max_attempts=5, initial_interval=0.001)
    return graph.add_node("node", node, retry_policy=policy)


def retried_while_an_ask_is_in_flight() -> StateGraph:
    tries: list[int] = []

    async def node(state: State) -> State:
        tries.append(1)
        try:
            return {"done": [await asyncio.wait_for(ask(1), 0.02 if len(tries) == 1 else 30)]}
        except TimeoutError as error:
            raise ConnectionError from error

    graph = StateGraph(State).add_edge(START, "node")
    policy = RetryPolicy(max_attempts=5, initial_interval=0.001)
    return graph.add_node("node", node, retry_policy=policy)


def map_reduce() -> StateGraph:
    async def plan(state: State) -> Any:
        await ask(9)
        return Command(goto=[Send("work", {"depth": number}) for number in range(4)])

    async def work(state: State) -> Any:
        found = {"done": [await ask(state["depth"], "work")]}
        if state["depth"] == 0:
            return Command(update=found, goto=Send("work", {"depth": 7}))
        return found

    async def reduce(state: State) -> State:
        return {"done": [await ask(8, len(state["done"]))]}

    graph = StateGraph(State).add_node("plan", plan).add_node("work", work)
    graph.add_node("reduce", reduce, defer=True)
    return graph.add_edge(START, "plan").add_edge("work", "reduce")


def edges_that_ask() -> StateGraph:
    async def node(state: State) -> State:
        return {"done": [await ask(len(state["done"]), "node")]}

    async def more(state: State) -> str:
        await ask(len(state["done"]), "edge")
        await ask(len(state["done"]), "edge")
        return "node" if len(state["done"]) < 3 else END

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node")
    return graph.add_conditional_edges("node", more, ["node", END])


def messages() -> StateGraph:
    async def node(state: MessagesState) -> MessagesState:
        reply = await step("s").ask(
            [*state["messages"], HumanMessage(f"<{len(state['messages'])}>")]
        )
        return {"messages": [AIMessage(reply.text, id=f"m{len(state['messages'])}")]}

    class Talk(TypedDict, total=False):
        messages: Annotated[list[AnyMessage], add_messages]
        done: Annotated[list[str], operator.add]

    return chain(("one", node), ("two", node), ("three", node), state=Talk)


class Model(BaseModel):
    done: Annotated[list[str], operator.add] = []


def pydantic_state() -> StateGraph:
    async def node(state: Model) -> dict:
        return {"done": [await ask(len(state.done))]}

    return chain(("one", node), ("two", node), ("three", node), state=Model)


def functional() -> Any:
    @task
    async def work(number: int) -> str:
        return await ask(number)

    @entrypoint()
    async def flow(given: dict) -> dict:
        first = await work(1)
        rest = await asyncio.gather(work(2), work(3), work(3))
        return {"done": [first, *rest, await ask(4)]}

    return flow


def with_a_checkpointer_of_its_own() -> Any:
    async def node(state: State) -> State:
        return {"done": [await ask(len(state["done"]))]}

    return chain(("one", node), ("two", node)).compile(checkpointer=InMemorySaver())


def sync_nodes() -> StateGraph:
    def node(state: State) -> State:
        found = [step("s").ask_sync(f"<{number}>").text for number in range(2)]
        return {"done": [str(len(one)) for one in found]}

    graph = StateGraph(State).add_node("one", node).add_node("two", node)
    return graph.add_edge(START, "one").add_edge(START, "two")


def streams() -> StateGraph:
    async def node(state: State) -> State:
        stream = step("s").stream(f"<{len(state['done'])}>")
        text = "".join([piece.text async for piece in stream])
        assert text == stream.reply.text
        return {"done": [text]}

    return chain(("one", node), ("two", node), ("three", node))


def streams_left_early() -> StateGraph:
    async def node(state: State) -> State:
        async for _ in step("s").stream(f"<{len(state['done'])}>"):
            break
        return {"done": [await ask(len(state["done"]), "after")]}

    return chain(("one", node), ("two", node))


def something_named_like_its_node() -> StateGraph:
    async def work(state: State) -> State:
        before = await ask(1)
        named = await RunnableLambda(lambda text: text, name="work").ainvoke("x")
        return {"done": [before, named, await ask(1)]}

    return chain(work)


SHAPES = [
    loop_in_a_loop,
    subgraphs_called_several_times_in_one_node,
    three_levels,
    the_same_question_at_once,
    retried_by_langgraph,
    retried_while_an_ask_is_in_flight,
    map_reduce,
    edges_that_ask,
    messages,
    pydantic_state,
    functional,
    with_a_checkpointer_of_its_own,
    sync_nodes,
    streams,
    streams_left_early,
    something_named_like_its_node,
]
GIVEN = {"done": []}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_a_graph_halted_at_every_ask_ends_as_if_never_halted(ground, shape):
    async with ground.orchestrator() as orchestrator:
        whole = await orchestrator.run(shape(), GIVEN, agent="a", task_id="whole")
    assert whole.status == "completed", whole.error
    calls = len(ground.upstream.log)
    asked = ground.requests()
    ground.upstream.log.clear()

    halts = 0
    graph = shape()
    policy = "limits: {model_calls: 1}"
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
    while result.status == "halted" and halts < 40:
        assert result.halt.reason == "model_calls"
        assert result.output is None
        assert len(result.attempts) == len(ground.upstream.log) == halts + 1
        halts += 1
        # Another life of the orchestrator each time: nothing is remembered in memory.
        async with ground.orchestrator(policy) as orchestrator:
            result = await orchestrator.resume("t", graph=graph, extend={"model_calls": 1})
    assert result.status == "completed", result.error
    assert result.output == whole.output
    assert ground.requests() == asked
    assert halts == calls - 1
    assert len(result.attempts) == calls


@pytest.mark.parametrize("durability", ["sync", "exit", "async"])
async def test_a_halt_resumes_whenever_checkpoints_are_written(ground, durability):
    graph = edges_that_ask()
    policy = f"durability: {durability}\nlimits: {{model_calls: 4}}"
    async with ground.orchestrator(policy) as orchestrator:
        halted = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert halted.status == "halted"
        assert len(halted.partial["done"]) >= 1
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.resume("t", graph=graph, extend={"model_calls": 50})
    assert result.status == "completed"
    assert len(ground.upstream.log) == len(result.attempts) == 9
