"""The memo and the life of a task: resumes, halts, waiting, a store that fails, tools."""

import asyncio
import shutil
import sqlite3

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from orchestrator import Money, step
from orchestrator.core.events import MemoFaulted
from orchestrator.integrations import memoized_tool
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.entry import decode, encode
from orchestrator.models.protocol import Completion, ModelCallError

MEMO = "steps: {plan: {memo: {fresh_for: 1h, share: team}}}"
# What a task makes of it


async def test_a_resume_gives_the_same_answer_although_the_memo_has_another(stage):
    async def second(state):
        return {"answer": f"{state['answer']}+{(await step('more').ask('more')).text}"}

    graph = stage.asking().add_node("second", second).add_edge("ask", "second")
    texts = iter(["first", "other", "end"])
    halting = f"{MEMO}\nlimits: {{model_calls: 1}}"

    def script(_request):
        return Completion(text=next(texts), finish_reason="stop")

    async with stage.orchestrator(halting, script=script) as orchestrator:
        await stage.ask(orchestrator)
        paused = asyncio.Event()

        async def wait(state):
            if not paused.is_set():
                paused.set()
                await orchestrator.pause("t")
                await step("more").ask("more")
            return {}

        graph = stage.asking().add_node("wait", wait).add_node("second", second)
        graph.add_edge("ask", "wait").add_edge("wait", "second")
        halted = await stage.ask(orchestrator, graph=graph, task_id="t")
        assert (halted.status, halted.partial["answer"]) == ("halted", "first")
    # Another process, another memo: what it would say now is something else.
    shutil.rmtree(stage.folder / "memo")
    async with stage.orchestrator(halting, script=script) as orchestrator:
        assert (await stage.ask(orchestrator)).output["answer"] == "other"
        resumed = await orchestrator.resume("t", graph=graph)
    assert resumed.output["answer"] == "first+end"
    assert stage.asked == ["q", "q", "more"]


async def test_a_node_that_runs_again_replays_its_hit_from_the_journal(stage):
    runs = []

    async def node(state):
        reply = await step("plan").ask("q")
        runs.append((reply.text, reply.from_memo))
        if len(runs) == 1:
            await orchestrator.pause("t")
            await step("plan").ask("another")
        return {"answer": reply.text}

    graph = stage.graph(node)
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
        assert (await stage.ask(orchestrator, graph=graph, task_id="t")).status == "halted"
    async with stage.orchestrator("steps: {plan: {memo: off}}") as orchestrator:
        resumed = await orchestrator.resume("t", graph=graph)
    assert resumed.status == "completed"
    assert runs == [("ok", True), ("ok", True)]
    assert stage.asked == ["q"]
    assert [row.kind for row in stage.rows()] == ["ask", "memo"]


async def test_fifty_tasks_that_ask_the_same_at_once_make_one_call(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        results = await asyncio.gather(*(stage.ask(orchestrator) for _ in range(50)))
    assert stage.asked == ["q"]
    assert sorted(one.cost.total for one in results) == [Money.ZERO] * 49 + [stage.price]
    assert sum(row.saved.nano for row in stage.rows()) == 49 * stage.price.nano


async def test_when_the_leaders_budget_halts_it_a_waiter_asks_on_its_own(stage):
    asked, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    cut = ModelCallError("broken", "cut")

    class Slow:
        async def open(self) -> None: ...

        async def aclose(self) -> None: ...

        async def ask(self, request, *, on_text=None):
            if stage.asked == ["q"]:
                loop.call_soon_threadsafe(asked.set)
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(go.wait(), loop))
                raise cut  # booked at its bound
            return Completion(text="ok", finish_reason="stop")

    policy = MEMO.replace("{memo", "{models: [small], memo")
    async with stage.orchestrator(policy, client=Slow()) as orchestrator:
        await stage.ask(orchestrator, "p")
        stage.asked.clear()
        with sqlite3.connect(stage.folder / "ledger.db") as db:
            ((bound,),) = db.execute("SELECT reserve FROM attempts").fetchall()
        db.close()
        leading = asyncio.create_task(stage.ask(orchestrator, budget=Money(bound * 3 // 2)))
        await asked.wait()
        waiting = asyncio.create_task(stage.ask(orchestrator, budget="0.01"))
        late = await stage.ask(orchestrator, timeout="1s")
        assert (late.halt.reason, late.cost.total) == ("timeout", Money.ZERO)
        go.set()
        leader, waiter = await leading, await waiting
    assert (leader.halt.reason, leader.cost.total) == ("budget", Money(bound))
    assert (waiter.status, waiter.output["from_memo"]) == ("completed", False)
    assert waiter.cost.total > Money.ZERO
    assert stage.asked == ["q", "q"]


async def test_pausing_a_task_ends_its_wait_for_another(stage):
    go, asked = asyncio.Event(), asyncio.Event()

    async def node(state):
        asked.set()
        return {"answer": (await step("plan").ask("q", check=until_told)).text}

    async def until_told(reply):
        asked.set()
        await go.wait()
        return True

    graph = stage.graph(node)
    async with stage.orchestrator(MEMO) as orchestrator:
        leading = asyncio.create_task(stage.ask(orchestrator, graph=graph))
        await asked.wait()
        waiting = asyncio.create_task(stage.ask(orchestrator, graph=graph, task_id="w"))
        await asyncio.sleep(0.2)
        await orchestrator.pause("w")
        paused = await waiting
        go.set()
        await leading
    assert (paused.status, paused.halt.reason) == ("halted", "paused")


async def test_an_agent_that_loops_on_hits_is_stopped_as_one_that_pays(stage):
    async def node(state):
        while True:
            await step("plan").ask("q")

    graph = stage.graph(node)
    async with stage.orchestrator(f"{MEMO}\nlimits: {{repeats: 3}}") as orchestrator:
        result = await stage.ask(orchestrator, graph=graph)
    assert result.halt.reason == "repeats"
    assert len(stage.asked) == 1


# A store that fails


@pytest.mark.parametrize("harm", ["no directory", "no database"])
async def test_a_broken_store_costs_money_and_is_reported_once(stage, harm):
    directory = stage.folder / "memo"
    if harm == "no directory":
        directory.write_text("a file where the directory should be")
    else:
        async with stage.orchestrator(MEMO) as orchestrator:
            await stage.ask(orchestrator, "other")
        for file in directory.rglob("cache.db*"):
            file.write_bytes(b"this is no database" * 99)
    stage.asked.clear()
    async with stage.orchestrator(MEMO) as orchestrator:
        results = [await stage.ask(orchestrator) for _ in range(3)]
    assert [one.status for one in results] == ["completed"] * 3
    assert stage.asked == ["q"] * 3
    assert len([event for event in stage.events if isinstance(event, MemoFaulted)]) == 1


@pytest.mark.parametrize(
    "reply",
    [
        *(b"no JSON", b"{}", b"[" * 100_000, b"\xff"),
        b'{"text": 5, "finish_reason": "stop", "tool_calls": [], "served_model": null}',
        b'{"text": "", "finish_reason": "stop", "tool_calls": [[1]], "served_model": null}',
    ],
)
async def test_an_entry_whose_reply_cannot_be_read_is_paid_for_once_more(stage, reply):
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
    store = DiskStore(stage.folder / "memo")
    store.open()
    for key in store.scan():
        store.put(key, encode(decode(store.get(key), key)._replace(reply=reply)), keep_for_s=60.0)
    store.close()
    async with stage.orchestrator(MEMO) as orchestrator:
        results = [await stage.ask(orchestrator) for _ in range(3)]
    assert [one.output["from_memo"] for one in results] == [False, True, True]
    (fault,) = [event for event in stage.events if isinstance(event, MemoFaulted)]
    assert "'plan' cannot be read" in fault.error


@pytest.mark.parametrize("facts", [{"model": "a\0b"}, {"labels": frozenset({"a\0b"})}])
async def test_an_entry_that_no_ledger_can_hold_is_paid_for_once_more(stage, facts):
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
    store = DiskStore(stage.folder / "memo")
    store.open()
    for key in store.scan():
        store.put(key, encode(decode(store.get(key), key)._replace(**facts)), keep_for_s=60.0)
    store.close()
    async with stage.orchestrator(MEMO) as orchestrator:
        results = [await stage.ask(orchestrator) for _ in range(3)]
    assert [one.status for one in results] == ["completed"] * 3, results[0].error
    assert [one.output["from_memo"] for one in results] == [False, True, True]
    assert len([event for event in stage.events if isinstance(event, MemoFaulted)]) == 1


# Tools


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_memoized_tool_is_called_once_for_two_tasks_in_a_tool_node(stage, kind):
    calls = []

    @tool
    @memoized_tool(fresh_for=60, share="team", price=Money(500), name=kind)
    async def find(name: str) -> str:
        """Find it."""
        calls.append(name)
        return f"found {name}"

    @tool("find")
    @memoized_tool(fresh_for=60, share="team", price=Money(500), name=kind)
    def find_plainly(name: str) -> str:
        """Find it."""
        calls.append(name)
        return f"found {name}"

    async def plan(state: MessagesState) -> MessagesState:
        wanted = {"name": "find", "args": {"name": "it"}, "id": "1", "type": "tool_call"}
        return {"messages": [AIMessage("", tool_calls=[wanted])]}

    tools = ToolNode([find if kind == "async" else find_plainly])
    graph = StateGraph(MessagesState).add_node("plan", plan).add_node("tools", tools)
    graph.add_edge(START, "plan").add_edge("plan", "tools")
    async with stage.orchestrator() as orchestrator:
        for _ in range(2):
            result = await orchestrator.run(graph, {"messages": []}, agent="a")
            assert result.output["messages"][-1].content == "found it"
    assert calls == ["it"]
    (row,) = stage.rows()
    assert (row.kind, row.cost, row.saved) == ("memo", Money.ZERO, Money(500))
    assert row.step == kind


async def test_a_tool_that_asks_a_step_has_read_what_the_step_reads(stage):
    calls = []

    @memoized_tool(fresh_for=60, share="team", name="expert")
    async def expert(question: str) -> str:
        calls.append(question)
        return (await step("plan").ask(question)).text

    async def node(state):
        return {"answer": await expert(state["question"])}

    policy = "steps: {plan: {memo: {fresh_for: 1h, share: team, reads: [catalog]}}}"
    graph = stage.graph(node)
    async with stage.orchestrator(policy) as orchestrator:
        for life in (1, 2):
            for _ in range(2):
                await stage.ask(orchestrator, graph=graph)
                assert calls == stage.asked == ["q"] * life
            await orchestrator.touch("prices")
            await stage.ask(orchestrator, graph=graph)
            assert calls == stage.asked == ["q"] * life
            await orchestrator.touch("catalog")
        # What the step is answered by the memo tells it as well.
        await stage.ask(orchestrator)
        await stage.ask(orchestrator, graph=graph)
        await stage.ask(orchestrator, graph=graph)
        assert (len(calls), len(stage.asked)) == (3, 3)
        await orchestrator.touch("catalog")
        await stage.ask(orchestrator, graph=graph)
    assert (len(calls), len(stage.asked)) == (4, 4)
