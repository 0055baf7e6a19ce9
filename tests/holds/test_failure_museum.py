"""Faults of other systems, each named after what went wrong there, on the whole way from a graph
over HTTP to the ledger. ``tests/ledger/test_ledger_museum.py`` has those of the ledger alone."""

import asyncio
import operator
import time
from datetime import UTC, datetime
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt

from orchestrator import LedgerUnavailable, Money, current_task, step
from orchestrator.testing import FakeClock
from orchestrator.testing.upstream.faults import Fault
from orchestrator.testing.upstream.index import ReplyIndex

COST = Money(20_000)
TWO_CALLS = Money(200_000)
"""Room for the bound of a second call after the first, not for that of a third."""


class State(TypedDict, total=False):
    number: int
    done: Annotated[list[str], operator.add]


GIVEN = {"done": []}


def one_node(body, **more) -> StateGraph:
    return StateGraph(State).add_node("node", body, **more).add_edge(START, "node")


def asks(*questions: str, step_name: str = "s") -> StateGraph:
    async def node(state: State) -> State:
        return {"done": [(await step(step_name).ask(one)).model for one in questions]}

    return one_node(node)


def budget(scope: str, limit: Money, more: str = "") -> str:
    return f"budgets: {{{scope}: {{limit: {limit.usd} USD{more}}}}}"


def nothing_is_held(ground) -> None:
    assert ground.in_flight() == set()
    for row in ground.rows("SELECT reserved, disputed FROM accounts"):
        assert row == (0, 0)


# Money


async def test_parallel_calls_do_not_all_pass_a_check_then_act_budget(ground):
    async with ground.orchestrator(budget("team", TWO_CALLS)) as orchestrator:
        results = await asyncio.gather(
            *(orchestrator.run(asks("<1>"), GIVEN, agent="a") for _ in range(20))
        )
    assert sorted(one.status for one in results) == ["completed"] * 2 + ["halted"] * 18
    assert ground.upstream.billed == ground.ledger_total() == COST * 2


async def test_a_reservation_is_refused_and_not_trimmed_to_the_headroom(ground):
    async with ground.orchestrator(budget("task", COST * 5)) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "budget")
    assert ground.upstream.log == [], "the bound is more than is left, though the call would not be"


@pytest.mark.parametrize("leaves", ["wait_for", "task group", "cancel", "deadline"])
async def test_holds_do_not_leak_when_an_ask_is_cancelled(ground, leaves):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.3))

    async def node(state: State) -> State:
        if leaves == "wait_for":
            try:
                await asyncio.wait_for(step("s").ask("<1>"), 0.1)
            except TimeoutError:
                return {"done": ["left"]}
        if leaves == "task group":
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(step("s").ask("<1>"))
                    await asyncio.sleep(0.1)
                    raise KeyError
            except* KeyError:
                pass
            return {"done": ["left"]}
        await step("s").ask("<1>")
        return {"done": ["stayed"]}

    async with ground.orchestrator(budget("team", Money(10**9))) as orchestrator:
        timeout = "100ms" if leaves == "deadline" else None
        running = asyncio.create_task(
            orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t", timeout=timeout)
        )
        while not ground.upstream.log and not running.done():
            await asyncio.sleep(0.01)
        if leaves == "cancel":
            await orchestrator.cancel("t")
        await running
    nothing_is_held(ground)
    assert len(ground.upstream.log) <= len(ground.spendings()) <= 1, "reserved once, ended once"
    assert ground.ledger_total() >= ground.upstream.billed


async def test_processes_do_not_each_allow_the_whole_budget(ground, lives):
    policy = budget("team", COST * 15 + Money(190_000))
    await lives.begin(
        ground.order([{"task_id": f"t{n}"} for n in range(3)], policy, graph="plans:twelve_steps")
    )
    async with ground.orchestrator(policy) as orchestrator:
        ground.watch("team", Money.ZERO)
        graph = asks(*(f"<{number}>" for number in range(12)))
        here = await asyncio.gather(*(orchestrator.run(graph, GIVEN, agent="a") for _ in range(3)))
        there = await lives.rest()
    assert "halted" in {one.status for one in here} | {one["status"] for one in there}
    assert len(ground.upstream.log) in (15, 16), "as many as the budget serves, both together"
    assert ground.ledger_total() == ground.upstream.billed
    ((most,),) = ground.rows("SELECT max(committed) FROM seen")
    assert most <= COST.nano * 15 + 190_000


async def test_a_window_is_not_reset_late_or_never_or_in_the_wrong_zone(ground):
    clock = FakeClock(datetime(2026, 7, 14, 21, 59, tzinfo=UTC))  # 23:59 in Berlin
    policy = budget("team", TWO_CALLS, ", per: day, timezone: Europe/Berlin")
    statuses = []
    async with ground.orchestrator(policy, clock=clock) as orchestrator:
        for minutes in (0, 0, 0, 1, 1, 2, 180):  # then 00:00, 00:01, 00:03 and 03:03
            clock.advance(seconds=60 * minutes)
            result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
            statuses.append(result.status)
    assert statuses == [*["completed"] * 2, "halted", *["completed"] * 2, "halted", "halted"]


async def test_no_database_is_not_no_budget(ground):
    directory = ground.folder / "ledger.db"
    directory.mkdir()
    with pytest.raises(LedgerUnavailable):
        async with ground.orchestrator():
            pass
    assert ground.upstream.log == []


async def test_the_gate_judges_the_model_that_is_asked_and_each_fallback_anew(ground):
    """The small model fits the budget and fails; the large one would not fit."""
    ground.upstream.add_faults(Fault(kind="server_error", model="small"))
    policy = budget("task", Money(400_000))
    async with ground.orchestrator(
        policy, models=("small", "large"), clock=FakeClock()
    ) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "budget")
    assert {entry.model for entry in ground.upstream.log} == {"small"}


async def test_a_free_model_with_a_paid_fallback_does_not_spend_without_end(ground):
    ground.upstream.add_faults(Fault(kind="reject", status=404, model="gratis"))
    policy = f"""
  gratis: {{model: openai/gratis, api_base: "{ground.upstream.url}", max_output_tokens: 10,
            price: {{input: 0, output: 0}}}}
{budget("task", TWO_CALLS)}
"""
    questions = [f"<{number}>" for number in range(10)]
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(asks(*questions), GIVEN, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "budget")
    paid = [entry for entry in ground.upstream.log if entry.model == "small"]
    assert len(paid) == 2
    assert result.cost.total == ground.upstream.billed == COST * 2


async def test_a_cut_stream_and_an_early_break_do_not_cost_nothing(ground):
    async def node(state: State) -> State:
        async for _ in step("s").stream("<1>"):
            break
        return {"done": ["left early"]}

    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
        assert result.cost.known == ground.upstream.billed == COST
        ground.upstream.add_faults(Fault(kind="cut", after=2, delay_s=0.5))

        async def reads(state: State) -> State:
            return {"done": [piece.text async for piece in step("s").stream("<2>")]}

        cut = await orchestrator.run(one_node(reads), GIVEN, agent="a")
    assert cut.status == "failed"
    assert cut.cost.estimated > COST
    assert ground.ledger_total() >= ground.upstream.billed == COST * 2


async def test_retries_of_several_layers_do_not_multiply(ground):
    ground.upstream.add_faults(Fault(kind="server_error"))
    async with ground.orchestrator(clock=FakeClock()) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert len(ground.upstream.log) == 4, "one try and three retries, by one layer"
    assert len(result.attempts) == len(ground.spendings()) == 4
    kinds = [kind for (kind,) in ground.rows("SELECT kind FROM attempt_records ORDER BY seq")]
    assert kinds == ["ask", "retry", "retry", "retry"]


async def test_a_fallback_loop_does_not_restart_its_own_retries(ground):
    ground.upstream.add_faults(Fault(kind="server_error"))
    models = ("small", "large")
    async with ground.orchestrator(clock=FakeClock(), models=models) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert result.halt.reason == "no_model"
    assert [entry.model for entry in ground.upstream.log] == ["small"] * 4 + ["large"] * 4


async def test_cached_tokens_are_not_billed_twice_nor_make_a_cost_negative(ground):
    policy = f"""
  cached: {{model: openai/cached, api_base: "{ground.upstream.url}", max_output_tokens: 10,
            price: {{input: 1, output: 1, cached_input: "0.1"}}}}
steps: {{s: {{models: [cached]}}}}
"""
    reply = ground.recorded("<1>", model="cached", input_tokens=50, cached_input_tokens=40)
    ground.upstream._index = ReplyIndex([reply])
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert result.cost.known == Money(10_000 + 4_000 + 10_000)


async def test_an_unknown_model_does_not_run_free(ground):
    policy = f"""
  newest: {{model: openai/model-of-next-year, api_base: "{ground.upstream.url}"}}
steps: {{s: {{models: [newest]}}}}
unknown_price: free
"""
    reply = ground.recorded("<1>", model="model-of-next-year")
    ground.upstream._index = ReplyIndex([reply])
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert result.status == "completed"
    assert result.cost.unknown == 1, "counted as unknown, never taken for nothing"
    assert result.cost.known == Money.ZERO


async def test_the_cheapest_model_is_asked_first_whatever_its_provider_is_called(ground):
    policy = f"""
  dear: {{model: openrouter/openai/dear, api_base: "{ground.upstream.url}", max_output_tokens: 10,
          price: {{input: 30, output: 60}}}}
  cheap: {{model: openai/cheap, api_base: "{ground.upstream.url}", max_output_tokens: 10,
          price: {{input: "0.1", output: "0.2"}}}}
"""
    replies = [ground.recorded("<1>", model=name) for name in ("dear", "small", "cheap")]
    ground.upstream._index = ReplyIndex(replies)
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    assert result.output == {"done": ["cheap"]}


@pytest.mark.parametrize("kind", ["no_usage", "zero_usage", "negative_usage", "absurd_usage"])
async def test_usage_that_cannot_be_true_is_not_believed(ground, kind):
    ground.upstream.add_faults(Fault(kind=kind))
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.run(asks("<1>"), GIVEN, agent="a")
    (spending,) = ground.spendings()
    assert (spending.certainty, spending.usage) == ("estimated", None)
    assert spending.cost == result.cost.estimated == ground.bound()
    assert ground.upstream.billed < ground.bound() < Money(10**6)


async def test_a_budget_stops_where_it_is_used_up_and_not_at_a_few_percent(ground):
    policy = f"""
  dear: {{model: openai/dear, api_base: "{ground.upstream.url}", max_output_tokens: 10,
          price: {{input: 20000, output: 20000}}}}
steps: {{s: {{models: [dear]}}}}
{budget("team", Money.from_usd(15), ", per: month")}
"""
    ground.upstream._index = ReplyIndex([ground.recorded("question", model="dear")])
    graph = asks(*(f"question {number:02d}" for number in range(99)))
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(graph, GIVEN, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "budget")
    cost, limit, bound = Money.from_usd("0.40").nano, 15 * 10**9, ground.bound().nano
    assert len(ground.upstream.log) == (limit - bound) // cost + 1 > 25


async def test_resume_does_not_reset_the_spend_to_zero(ground):
    seen = []

    async def node(state: State) -> State:
        seen.append(current_task().remaining.money)
        for number in range(10):
            await step("s").ask(f"<{number}>")
        return {}

    async with ground.orchestrator(budget("task", TWO_CALLS)) as orchestrator:
        first = await orchestrator.run(one_node(node), GIVEN, agent="a", task_id="t")
        assert first.halt.spent == COST * 2
    for _ in range(3):
        async with ground.orchestrator(budget("task", TWO_CALLS)) as orchestrator:
            again = await orchestrator.resume("t", graph=one_node(node))
        assert (again.halt.reason, again.halt.spent) == ("budget", COST * 2)
    assert len(ground.upstream.log) == 2
    assert seen == [TWO_CALLS, *[TWO_CALLS - COST * 2] * 3]


# Halts and limits


async def test_a_hard_stop_does_not_throw_away_the_work_before_the_answer(ground):
    async def research(state: State) -> State:
        return {"done": [(await step("s").ask("<1>")).text]}

    async def answer(state: State) -> State:
        replies = [await step("s").ask(f"<{number}>") for number in (2, 3)]
        return {"done": [one.text for one in replies]}

    graph = StateGraph(State).add_sequence([research, answer]).add_edge(START, "research")
    async with ground.orchestrator(budget("task", TWO_CALLS)) as orchestrator:
        halted = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert halted.status == "halted"
        assert len(halted.partial["done"]) == 1, "what was done is there"
        result = await orchestrator.resume("t", add_budget="0.001")
    assert len(result.output["done"]) == 3
    assert len(ground.upstream.log) == 3


async def test_sub_agents_do_not_escape_their_parents_limits(ground):
    async def node(state: State) -> State:
        for number in range(5):
            child = await orchestrator.run(asks(f"<{number}>", "<9>"), GIVEN, agent=f"sub{number}")
            assert child.status == "completed"
        return {}

    policy = "limits: {model_calls: 4}"
    async with ground.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(one_node(node), GIVEN, agent="a")
    assert (result.status, result.halt.reason) == ("halted", "model_calls")
    assert len(ground.upstream.log) == len(result.attempts) == 4


async def test_one_budget_error_does_not_abort_the_whole_fan_out(ground):
    async def work(state: State) -> State:
        reply = await step("s").ask(f"<{state['number']}>")
        await asyncio.sleep(0.5)  # still at work when others are refused
        return {"done": [reply.model]}

    graph = StateGraph(State).add_node("work", work)
    graph.add_conditional_edges(
        START, lambda _: [Send("work", {"number": number}) for number in range(30)], ["work"]
    )
    async with ground.orchestrator(budget("task", COST * 10 + Money(180_000))) as orchestrator:
        halted = await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        assert (halted.status, halted.halt.reason) == ("halted", "budget")
        served = len(ground.upstream.log)
        assert served >= 10
        assert len(halted.partial["done"]) == served, "siblings keep what they have"
        assert [one.certainty for one in halted.attempts] == ["known"] * served
        result = await orchestrator.resume("t", add_budget="0.01")
    assert len(result.output["done"]) == 30
    assert set(ground.requests().values()) == {1}


async def test_an_interrupted_node_does_not_pay_again(ground):
    async def node(state: State) -> State:
        before = await step("s").ask("<1>")
        first = interrupt("first?")
        between = await step("s").ask(f"<2> {first}")
        second = interrupt("second?")
        return {"done": [before.model, first, between.model, second]}

    async with ground.orchestrator() as orchestrator:
        graph = one_node(node)
        await orchestrator.run(graph, GIVEN, agent="a", task_id="t")
        await orchestrator.resume("t", answer="yes")
        result = await orchestrator.resume("t", answer="no")
    assert result.output["done"] == ["small", "yes", "small", "no"]
    assert ground.requests() == {"<1>": 1, "<2>": 1}


async def test_a_timeout_on_a_sync_node_does_not_wait_until_it_returns(ground):
    let_go = asyncio.Event()

    def node(state: State) -> State:
        step("s").ask_sync("<1>")
        until = time.monotonic() + 30
        while time.monotonic() < until and not let_go.is_set():
            time.sleep(0.05)
        return {"done": [step("s").ask_sync("<2>").model]}

    async with ground.orchestrator() as orchestrator:
        await orchestrator.run(asks("<0>"), GIVEN, agent="a")  # loads what it needs
        began = time.monotonic()
        result = await orchestrator.run(one_node(node), GIVEN, agent="a", timeout="3s")
        assert time.monotonic() - began < 20
        let_go.set()
        await asyncio.sleep(0.3)
    assert (result.status, result.halt.reason) == ("halted", "timeout")
    assert ground.requests() == {"<0>": 1, "<1>": 1}, "what was left behind asks in vain"
