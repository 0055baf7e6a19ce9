"""Audits: who is asked the same, at whose expense, and what it teaches."""

import asyncio

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.core.errors import PolicyError
from orchestrator.core.usage import Usage
from orchestrator.ledger.factory import reader_from_url
from orchestrator.models.protocol import Completion
from orchestrator.reports.routing import status
from orchestrator.runtime.choice.audits import is_drawn

ALL = "audits: {rate: 1, budget: {limit: 1 USD}}\nsteps: {s: {confidence: 0.8}}"


class State(TypedDict, total=False):
    question: str
    model: str
    state: str


async def ask(state: State) -> State:
    reply = await step("s").ask(state["question"])
    return {"model": reply.model, "state": reply.confidence_state}


GRAPH = StateGraph(State).add_node("node", ask).add_edge(START, "node")


def answers(right):
    """The large model is right; the small one where ``right`` says so."""

    def script(request):
        number = int(str(request.messages[-1]["content"]).split()[-1])
        result = number if request.settings.name == "large" or right(number) else number + 1
        return Completion(text=f"It is {result}", finish_reason="stop", usage=Usage(10, 5))

    return script


async def ran(orchestrator, count, since=0):
    found = []
    for number in range(since, since + count):
        result = await orchestrator.run(
            GRAPH, {"question": f"what is {number}"}, agent="a", task_id=f"t{number}"
        )
        await orchestrator._services.engine.idle()
        found.append(result)
    return found


def attempts(stage):
    with reader_from_url(stage.store) as reader:
        return list(reader.attempts())


async def test_a_reply_is_compared_at_the_expense_of_the_audits_alone(stage):
    budget = "budgets: {task: {limit: 0.000200 USD}}\n"
    async with stage.orchestrator(budget + ALL, script=answers(lambda n: True)) as orchestrator:
        (result,) = await ran(orchestrator, 1)
        (outcome,) = [
            one
            for one in await orchestrator._services.ledger.lessons("research")
            if one.kind == "outcome"
        ]

    assert result.output["model"] == "small"
    assert [one.model for one in result.attempts] == ["small"]
    audit = next(one for one in attempts(stage) if one.kind == "audit")
    assert (audit.model, audit.agent) == ("large", "a")
    assert audit.task_id != "t0", "a task of its own: the budget of the first could not pay it"
    assert outcome.body == {"score": 1.0, "source": "audit", "weight": 1.0}


async def test_audits_stop_where_their_budget_ends(stage):
    policy = "audits: {rate: 1, budget: {limit: 0.004 USD}}\nsteps: {s: {confidence: 0.8}}"
    async with stage.orchestrator(policy, script=answers(lambda n: True)) as orchestrator:
        results = await ran(orchestrator, 25)
    assert all(one.status == "completed" for one in results)
    made = [one for one in attempts(stage) if one.kind == "audit"]
    assert 0 < len(made) < 25
    assert sum(one.cost.nano for one in made) <= 4_000_000


async def test_audits_teach_and_certify_what_their_own_half_shows(stage):
    async with stage.orchestrator(ALL, script=answers(lambda n: True)) as orchestrator:
        results = await ran(orchestrator, 90)
    (found,) = status(stage.store)
    assert results[-1].output["state"] == "certified"
    assert found.certificate.state == "certified"
    assert found.certificate.alpha == pytest.approx(0.2)
    assert found.certificate.bound <= 0.2
    days_left = (found.certificate.expires - stage.events[-1].at).days
    assert days_left in {89, 90}, "the date is told with it"
    assert found.audits >= 30
    assert found.labels + found.audits == 90, "what fits a confidence never certifies it"


async def test_where_the_strong_one_answers_a_cheap_one_is_asked_in_its_shadow(stage):
    async with stage.orchestrator(ALL, script=answers(lambda n: False)) as orchestrator:
        results = await ran(orchestrator, 75)
    assert results[-1].output["model"] == "large"
    last = attempts(stage)
    assert [(one.model, one.kind) for one in last[-2:]] == [("large", "ask"), ("small", "audit")]
    (found,) = status(stage.store)
    assert found.asks == 75, "nobody asked for what an audit asked"
    spent = sum(float(one.cost.usd) for one in last if one.kind != "audit")
    assert found.policy.cost_usd == pytest.approx(spent / 75)


async def test_an_audit_on_the_wire_holds_no_place_that_somebody_pays_for(stage):
    """The lane has one place; the audit of the first task never ends by itself."""
    on_wire, policy = (
        asyncio.Event(),
        f"lanes: {{one: {{concurrency: 1}}}}\n{ALL[:-2]}, lane: one}}}}",
    )

    class Slow:
        async def open(self):
            """Nothing to load."""

        async def aclose(self):
            """Nothing to close."""

        async def ask(self, request, *, on_text=None):
            if request.settings.name == "large":
                on_wire.set()
                await asyncio.sleep(600)
            return Completion(text="It is 1", finish_reason="stop", usage=Usage(10, 5))

    async with stage.orchestrator(policy, client=Slow()) as orchestrator:
        for number in range(3):
            result = await asyncio.wait_for(
                orchestrator.run(GRAPH, {"question": f"what is {number}"}, agent="a"), 60
            )
            assert result.output["model"] == "small"
            while not on_wire.is_set():  # on the engine's loop: it cannot be awaited here
                await asyncio.sleep(0.01)
    assert [one.kind for one in attempts(stage)].count("audit") >= 1


async def test_nothing_is_drawn_without_a_budget_and_that_is_said(stage):
    with pytest.raises(PolicyError, match="add `budget:"):
        stage.orchestrator("audits: {rate: 0.1}")
    async with stage.orchestrator("audits: off") as orchestrator:
        await ran(orchestrator, 3)
    assert {one.kind for one in attempts(stage)} == {"ask"}


def test_the_lot_is_fair_and_the_same_whenever_it_is_drawn():
    drawn = [is_drawn(f"task-{number}", "key", 0.1) for number in range(5000)]
    assert 400 < sum(drawn) < 600
    assert drawn[:100] == [is_drawn(f"task-{number}", "key", 0.1) for number in range(100)]
    assert not is_drawn("task", "key", 0.0)
    assert is_drawn("task", "key", 1.0)
