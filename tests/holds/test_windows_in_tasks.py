"""Budgets of user, agent, team and org stop the tasks they count, for as long as their window."""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph

from orchestrator import Money, current_task, step
from orchestrator.testing import FakeClock
from orchestrator.testing.upstream.faults import Fault

COST = Money(20_000)
TWO_CALLS = Money(200_000)
"""More than a bound and a cost, less than a bound and two costs."""


class State(TypedDict, total=False):
    text: str


async def ask(state: State) -> State:
    return {"text": (await step("s").ask("question")).text}


GRAPH = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")


def policy(scope: str, per: str, timezone: str = "UTC") -> str:
    return f"""
budgets:
  {scope}: {{limit: {TWO_CALLS.usd} USD, per: {per}, timezone: {timezone}}}
"""


# Whom the budget of a scope counts together with agent a, user u, team research, org acme.
SHARED = {
    "user": {"agent": "b"},
    "agent": {"user": "v"},
    "team": {"agent": "b", "user": "v"},
    "org": {"agent": "b", "user": "v", "team": "sales"},
}
APART = {
    "user": [{"user": "v"}, {"user": None}],
    "agent": [{"agent": "b"}, {"team": "sales"}],
    "team": [{"team": "sales"}],
    "org": [{"org": "other"}],
}


async def run(ground, text: str, clock: FakeClock, **who):
    """One task of whoever is named; agent a of user u in acme's research team unless said."""
    who = {"agent": "a", "user": "u", "team": "research", "org": "acme"} | who
    team, org = who.pop("team"), who.pop("org")
    orchestrator = ground.orchestrator(text, clock=clock, team=team, org=org)
    async with orchestrator:
        result = await orchestrator.run(GRAPH, {}, **who)
    if result.status == "completed":
        return None
    assert (result.status, result.attempts) == ("halted", ())
    return (result.halt.reason, result.halt.scope)


@pytest.mark.parametrize("scope", SHARED)
async def test_a_budget_stops_whom_it_counts_and_nobody_else(ground, scope):
    clock = FakeClock()
    text = policy(scope, "day")
    assert await run(ground, text, clock) is None
    assert await run(ground, text, clock, **SHARED[scope]) is None
    assert await run(ground, text, clock) == ("budget", scope)
    assert await run(ground, text, clock, **SHARED[scope]) == ("budget", scope)
    for who in APART[scope]:
        assert await run(ground, text, clock, **who) is None
    assert len(ground.upstream.log) == 2 + len(APART[scope])
    clock.advance(days=1)
    assert await run(ground, text, clock) is None


WINDOWS = [
    # per, time zone, spent at, last second of the window, in UTC
    ("hour", "UTC", "2026-05-05T10:30", "2026-05-05T10:59:59"),
    ("day", "UTC", "2026-05-05T10:30", "2026-05-05T23:59:59"),
    ("week", "UTC", "2026-05-05T10:30", "2026-05-10T23:59:59"),
    ("month", "UTC", "2026-05-05T10:30", "2026-05-31T23:59:59"),
    # Midnight in Berlin, not in Greenwich.
    ("day", "Europe/Berlin", "2026-05-05T10:30", "2026-05-05T21:59:59"),
    ("day", "America/Los_Angeles", "2026-05-05T10:30", "2026-05-06T06:59:59"),
    ("month", "Asia/Kolkata", "2026-05-31T18:29:59", "2026-05-31T18:29:59"),
    # 29 March has 23 hours in Berlin, 25 October 25, and the month with it an hour more.
    ("day", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T21:59:59"),
    ("day", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T22:59:59"),
    ("week", "Europe/Berlin", "2026-03-25T12:00", "2026-03-29T21:59:59"),
    ("month", "Europe/Berlin", "2026-09-30T22:00", "2026-10-31T22:59:59"),
    # 02:30 comes twice that night: each has an hour of its own.
    ("hour", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T00:59:59"),
    ("hour", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01:59:59"),
]


@pytest.mark.parametrize(("per", "timezone", "spent_at", "last"), WINDOWS)
async def test_money_comes_back_with_the_next_window_and_not_before(
    ground, per, timezone, spent_at, last
):
    clock = FakeClock(datetime.fromisoformat(spent_at).replace(tzinfo=UTC))
    end = datetime.fromisoformat(last).replace(tzinfo=UTC)
    async with ground.orchestrator(policy("team", per, timezone), clock=clock) as orchestrator:
        for _ in range(2):
            assert (await orchestrator.run(GRAPH, {}, agent="a")).status == "completed"
        clock.set(end)
        halted = await orchestrator.run(GRAPH, {}, agent="a", task_id="t")
        assert (halted.halt.reason, halted.halt.scope) == ("budget", "team")
        assert (halted.halt.limit, halted.halt.spent) == (TWO_CALLS, COST * 2)
        assert f"{end + timedelta(seconds=1):%Y-%m-%d %H:%M} UTC" in halted.halt.detail
        assert (await orchestrator.resume("t")).status == "halted"
        clock.set(end + timedelta(seconds=1))
        assert (await orchestrator.resume("t")).status == "completed"
        assert (await orchestrator.run(GRAPH, {}, agent="a")).status == "completed"
        assert (await orchestrator.run(GRAPH, {}, agent="a")).status == "halted"
    assert ground.ledger_total() == ground.upstream.billed == COST * 4


async def test_an_attempt_counts_in_the_window_in_which_it_was_reserved(ground):
    """A late settlement books where the money was held, and erases nothing of the new window."""
    clock = FakeClock(datetime(2026, 5, 5, 23, 59, 59, tzinfo=UTC))
    async with ground.orchestrator(policy("team", "day"), clock=clock) as orchestrator:
        take = ground.upstream._answer

        async def over_midnight(*request):
            clock.set(datetime(2026, 5, 6, 0, 0, 1, tzinfo=UTC))
            return await take(*request)

        ground.upstream._answer = over_midnight
        assert (await orchestrator.run(GRAPH, {}, agent="a")).status == "completed"
    rows = ground.rows("SELECT window, settled, reserved FROM accounts")
    assert rows == [("day@UTC:2026-05-05", COST.nano, 0)]


# The finish reserve

CALLS = 100
RESERVED = TWO_CALLS
TASK = f"""
budgets:
  task:
    limit: {(Money(160_000) + COST * CALLS + RESERVED).usd} USD
    finish_reserve: {RESERVED.usd} USD
"""


class Work(TypedDict, total=False):
    answers: int
    closing: str


async def plans_its_end(state: Work) -> Work:
    for number in range(1000):
        if current_task().should_finish:
            reply = await step("close", finish=True).ask("question: what now?")
            return {"answers": number, "closing": reply.text}
        await step("s").ask(f"question {number:03d}")
    return {}


async def spends_blindly(state: Work) -> Work:
    if current_task().should_finish:
        reply = await step("close", finish=True).ask("question: what now?")
        return {"closing": reply.text}
    for number in range(1000):
        await step("s").ask(f"question {number:03d}")
    return {}


def graph_of(node) -> StateGraph:
    return StateGraph(Work).add_node("node", node).add_edge(START, "node")


def kept_from_normal_steps(ground) -> bool:
    ((limit,),) = ground.rows(
        f"SELECT max(committed) FROM seen WHERE committed <= {(Money(160_000) + COST * CALLS).nano}"
    )
    ((most,),) = ground.rows("SELECT max(committed) FROM seen")
    return limit == most


async def test_a_normal_step_halts_before_the_finish_reserve_and_a_closing_one_answers_out_of_it(
    ground,
):
    async with ground.orchestrator(TASK) as orchestrator:
        ground.watch("task", RESERVED)
        halted = await orchestrator.run(graph_of(spends_blindly), {}, agent="a", task_id="t")
        assert (halted.status, halted.halt.reason, halted.halt.scope) == (
            "halted",
            "budget",
            "task",
        )
        assert "finish=True" in halted.halt.detail
        assert kept_from_normal_steps(ground), "no normal step ever held what is kept"
        asked = len(ground.upstream.log)
        resumed = await orchestrator.resume("t")
    assert resumed.status == "completed"
    assert resumed.output["closing"]
    assert len(ground.upstream.log) == asked + 1
    assert resumed.attempts[-1].step == "close"
    assert not kept_from_normal_steps(ground), "the closing one did"


async def test_an_agent_that_looks_at_should_finish_ends_in_time(ground):
    async with ground.orchestrator(TASK) as orchestrator:
        result = await orchestrator.run(graph_of(plans_its_end), {}, agent="a")
    assert result.status == "completed"
    assert result.output["closing"]
    assert result.output["answers"] > CALLS * 0.8
    assert [one.step for one in result.attempts].count("close") == 1


async def test_without_the_reserve_a_closing_step_halts_as_any_other(ground):
    async def closes(state: Work) -> Work:
        replies = [await step("close", finish=True).ask(f"<{n}>") for n in range(5)]
        return {"answers": len(replies)}

    async with ground.orchestrator(
        policy("team", "day") + TASK.partition(":\n")[2]
    ) as orchestrator:
        result = await orchestrator.run(graph_of(closes), {}, agent="a")
    assert (result.halt.reason, result.halt.scope) == ("budget", "team")
    assert len(result.attempts) == 2


# Limits over the wire


async def test_every_request_is_a_model_call_retries_included(ground):
    async def asks(state: Work) -> Work:
        for number in range(5):
            await step("s").ask(f"<{number}>")
        return {}

    ground.upstream.add_faults(Fault(kind="server_error", every=2))
    text = "limits: {model_calls: 4}"
    async with ground.orchestrator(text, clock=FakeClock()) as orchestrator:
        result = await orchestrator.run(graph_of(asks), {}, agent="a", task_id="t")
        assert (result.halt.reason, result.halt.limit.count) == ("model_calls", 4)
        assert len(ground.upstream.log) == 4
        resumed = await orchestrator.resume("t", extend={"model_calls": 50})
    assert resumed.status == "completed"
