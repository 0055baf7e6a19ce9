"""What happens before a budget is used up: with real ledgers, and as many processes as shown."""

import asyncio
import operator
from datetime import UTC, datetime
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import Money, step, tool_cost
from orchestrator.core.events import BudgetThresholdCrossed
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.ledger.afterwards import Correction
from orchestrator.ledger.records import Account, AttemptIntent, Demand, TaskOpening
from orchestrator.models.protocol import Completion
from orchestrator.models.scripted import ScriptedReply

BUDGETS = "budgets: {{team: {{limit: 0.001 USD, at: {at}}}}}\n"
CHECKED = 'steps: {"*": {checks: [{form: "^right"}]}}\n'


NEAR = """
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 2, output: 2}}
"""


def spends(tokens: int, text: str = "ok") -> Completion:
    """A reply that costs so many micro-dollars of the small model."""
    usage = Usage(tokens - 1, 1)
    return Completion(text=text, finish_reason="stop", usage=usage, served_model="m")


def wrong(tokens: int):
    return lambda _: spends(tokens, text="wrong")


def right(_) -> Completion:
    return spends(100)


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def asking(name: str, times: int = 1):
    async def node(state: State) -> State:
        replies = [await step("s").ask(f"{name} {number}") for number in range(times)]
        return {"said": [reply.model for reply in replies]}

    return StateGraph(State).add_sequence([node]).set_entry_point("node")


def at(text: str, more: str = "") -> str:
    return BUDGETS.format(at=text) + more


def crossings(stage):
    return [one for one in stage.events if isinstance(one, BudgetThresholdCrossed)]


async def test_a_crossing_is_told_once_with_whose_budget_it_is(stage):
    async with stage.orchestrator(at("{20%: notify, 50%: notify}"), script=right) as orchestrator:
        for number in range(6):
            await orchestrator.run(asking(f"t{number}"), {}, agent="a")

    told = [(one.share, one.action, one.spent) for one in crossings(stage)]
    assert told == [("20%", "notify", Money(200_000)), ("50%", "notify", Money(500_000))]
    one = crossings(stage)[0]
    assert (one.budget, one.holder, one.window) == ("team", "acme/research", "total")


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
async def test_of_many_at_once_one_tells(stage, where, request):
    """Three orchestrators with ledgers of their own on one store, as three processes have."""
    if where == "postgres":
        stage.elsewhere = request.getfixturevalue("postgres_url")
    text = at("{10%: notify}")
    async with (
        stage.orchestrator(text, script=right) as first,
        stage.orchestrator(text, script=right) as second,
        stage.orchestrator(text, script=right) as third,
    ):
        await asyncio.gather(
            *(one.run(asking(f"{n}"), {}, agent="a") for n in range(2) for one in (first, second))
        )
        await third.run(asking("last"), {}, agent="a")

    assert len(crossings(stage)) == 1


async def test_what_is_held_crosses_nothing(stage):
    """A rule at 90 % that fires at a fifth of the budget: reserves are worst cases."""
    answer = ScriptedReply(text="ok", usage=Usage(1, 1), delay_s=0.05)

    async with stage.orchestrator(at("{30%: notify}"), script=lambda _: answer) as orchestrator:
        runs = (orchestrator.run(asking(f"t{n}"), {}, agent="a") for n in range(5))
        assert {one.status for one in await asyncio.gather(*runs)} == {"completed"}

    assert crossings(stage) == []


async def test_economizing_asks_the_cheapest_and_never_escalates(stage):
    text = at("{20%: economize}", CHECKED)
    async with stage.orchestrator(text, script=wrong(100), models=NEAR) as orchestrator:
        before = await orchestrator.run(asking("one", 2), {}, agent="a")
        after = await orchestrator.run(asking("two"), {}, agent="a")

    assert [one.model for one in before.attempts] == ["small", "large", "small"]
    assert [one.model for one in after.attempts] == ["small"]
    assert after.status == "completed"


async def test_economizing_asks_for_no_judgement_and_no_second_reply(stage):
    checks = 'steps: {"*": {checks: [agreement, judge: {model: small, budget: 1 USD}]}}\n'
    text = at("{3%: economize}", checks).replace("0.001 USD", "0.01 USD")
    kinds = {}

    def script(request):
        is_judging = request.messages[0]["role"] == "system"
        return spends(100, '{"acceptable": true}' if is_judging else "5")

    async with stage.orchestrator(text, script=script, models=NEAR) as orchestrator:
        for name in ("before", "after"):
            done = await orchestrator.run(asking(name), {}, agent="a", task_id=name)
            assert done.status == "completed"
            history = await orchestrator._services.ledger.history(name)
            kinds[name] = [one.intent.kind for one in history.attempts]

    assert kinds == {"before": ["ask", "agreement", "judge"], "after": ["ask"]}


async def test_before_the_threshold_it_escalates(stage):
    text = at("{90%: economize}", CHECKED)
    async with stage.orchestrator(text, script=wrong(100), models=NEAR) as orchestrator:
        result = await orchestrator.run(asking("one"), {}, agent="a")

    assert [one.model for one in result.attempts] == ["small", "large"]


async def test_tasks_of_low_priority_halt_and_others_go_on(stage):
    text = at("{50%: pause-low-priority}", "agents: {batch: {priority: low}}\n")
    async with stage.orchestrator(text, script=right) as orchestrator:
        early = await orchestrator.run(asking("a", 5), {}, agent="batch")
        assert early.status == "completed"
        await orchestrator.run(asking("b"), {}, agent="a")

        low = await orchestrator.run(asking("c"), {}, agent="batch")
        assert (low.status, low.halt.reason, low.halt.scope) == ("halted", "paused", "team")
        assert low.halt.limit == Money(500_000)
        assert "tasks of low priority wait" in low.halt.detail
        assert low.attempts == ()

        given = await orchestrator.run(asking("d"), {}, agent="a", priority="low", task_id="d")
        assert given.halt.reason == "paused"
        assert (await orchestrator.resume("d")).halt.reason == "paused"
        normal = await orchestrator.run(asking("e"), {}, agent="batch", priority="normal")
        assert normal.status == "completed"
        with pytest.raises(ValueError, match="low, normal, high"):
            await orchestrator.run(asking("f"), {}, agent="a", priority="urgent")


async def test_a_budget_that_halts_earlier_keeps_the_rest(stage):
    async with stage.orchestrator(at("{50%: halt}"), script=right) as orchestrator:
        result = await orchestrator.run(asking("x", 12), {}, agent="a")

    assert (result.halt.reason, result.halt.limit) == ("budget", Money(500_000))
    assert result.cost.total <= Money(500_000)


async def test_what_was_crossed_does_not_flap_when_a_little_money_comes_back(stage):
    """A doubt that crossed 20 % turns out cheaper: it takes 5 % less to be uncrossed."""
    text = at("{20%: economize}", CHECKED)

    async with stage.orchestrator(text, script=wrong(2), models=NEAR) as orchestrator:
        ledger, now = orchestrator._services.ledger, datetime.now(UTC)
        await ledger.open_task(opening(now))
        await ledger.reserve(intent(now, 250_000), [Demand(TEAM, Money(1_000_000))])
        await ledger.take_over("x", owner="other")

        async def asked_after(nano: int | None) -> list[str]:
            if nano is not None:
                await ledger.correct(
                    Correction(
                        attempt_id="x1",
                        cost=Money(nano),
                        certainty="known",
                        source="by hand",
                        at=now,
                    )
                )
            result = await orchestrator.run(asking("one"), {}, agent="a")
            return [one.model for one in result.attempts]

        assert await asked_after(None) == ["small"]
        assert await asked_after(165_000) == ["small"]
        assert await asked_after(100_000) == ["small", "large"]
    assert [one.share for one in crossings(stage)] == ["20%"]


TEAM = Account("team", "acme/research", "total")


def opening(now):
    scope = Scope(org="acme", team="research", agent="a", task_id="x", tenant="research")
    return TaskOpening(
        scope=scope,
        owner="gone",
        graph="g",
        policy="p",
        input_type="json",
        input_body=b"1",
        at=now,
    )


def intent(now, nano: int):
    return AttemptIntent(
        attempt_id="x1",
        task_id="x",
        epoch=1,
        key="k",
        request_hash="h",
        step="s",
        kind="ask",
        model="small",
        provider_model="openai/small",
        reserve=Money(nano),
        expires_at=now,
        at=now,
    )


async def test_what_a_tool_crosses_is_told_at_once(stage):
    @tool_cost("0.0009 USD")
    async def search(query):
        return "found"

    async def node(state: State) -> State:
        return {"said": [await search("it")]}

    graph = StateGraph(State).add_sequence([node]).set_entry_point("node")
    async with stage.orchestrator(at("{80%: notify}")) as orchestrator:
        await orchestrator.run(graph, {"said": []}, agent="a")
    assert len(crossings(stage)) == 1
