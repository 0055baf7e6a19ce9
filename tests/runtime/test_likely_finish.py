"""A step is not started when such tasks needed more from there on than is left."""

import operator
from typing import Annotated, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import StateGraph

from orchestrator import Money, step
from orchestrator.core.scope import Scope
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion
from orchestrator.runtime.spending.likelihood import ENOUGH, quantile

LIKELY = "budgets: {task: {limit: 0.001 USD, likely_finish: 0.9}}\n"
LIKE = Scope("acme", "research", "a", "any", "research")


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def answer(_) -> Completion:
    return Completion(text="ok", finish_reason="stop", usage=Usage(99, 1), served_model="m")


def asks(name: str, times: int):
    async def node(state: State) -> State:
        for number in range(times):
            await step(name).ask(f"{name} {number}")
        return {"said": [name]}

    node.__name__ = name
    return node


PLAN = (
    StateGraph(State)
    .add_sequence([asks("look", 1), asks("write", 4), asks("check", 1)])
    .set_entry_point("look")
)


@pytest.mark.parametrize("where", ["memory", "sqlite", "postgres"])
async def test_a_step_whose_rest_does_not_fit_is_not_started(stage, where, request):
    """Six calls of 100 millionths each: from the second step on a task needs 500."""
    if where != "sqlite":
        url = "memory://" if where == "memory" else request.getfixturevalue("postgres_url")
        stage.elsewhere = url
    async with stage.orchestrator(LIKELY, script=answer) as orchestrator:
        for number in range(ENOUGH):
            done = await orchestrator.run(PLAN, {"said": []}, agent="a", task_id=f"t{number}")
            assert (done.status, done.cost.total) == ("completed", Money(600_000))
        rests = await orchestrator._services.ledger.rests(LIKE, "write", 200)
        assert rests == [Money(500_000)] * ENOUGH

        tight = await orchestrator.run(
            PLAN, {"said": []}, agent="a", task_id="tight", budget="0.00055"
        )
        assert (tight.halt.reason, tight.halt.step) == ("budget", "look")
        assert "90% of the agent's last 20 tasks needed up to $0.0006" in tight.halt.detail
        assert tight.attempts == ()
        more = await orchestrator.resume("tight", add_budget="0.0003")
        assert more.status == "completed"

        for who in ({"agent": "b"}, {"agent": "a", "tenant": "another"}):
            other = await orchestrator.run(PLAN, {"said": []}, budget="0.00055", **who)
            assert len(other.attempts) > 1, "of another agent or tenant nothing is known"
            assert "of the agent's last" not in other.halt.detail


async def test_without_the_key_nothing_is_refused(stage):
    text = LIKELY.replace(", likely_finish: 0.9", "")
    async with stage.orchestrator(text, script=answer) as orchestrator:
        for _ in range(ENOUGH):
            await orchestrator.run(PLAN, {"said": []}, agent="a")
        halted = await orchestrator.run(PLAN, {"said": []}, agent="a", budget="0.00055")
    assert len(halted.attempts) > 1


@given(costs=st.lists(st.integers(0, 100), min_size=ENOUGH, max_size=60), share=st.floats(0, 1))
def test_the_share_stays_within_its_quantile(costs, share):
    found = quantile([Money(cost) for cost in costs], share)
    assert sum(cost <= found.nano for cost in costs) >= min(share * len(costs), len(costs))
    assert quantile([Money(1)] * (ENOUGH - 1), share) is None


@pytest.mark.parametrize("where", ["memory", "sqlite", "postgres"])
async def test_what_audits_cost_says_nothing_of_what_a_task_needs(stage, where, request):
    if where != "sqlite":
        url = "memory://" if where == "memory" else request.getfixturevalue("postgres_url")
        stage.elsewhere = url
    audits = "audits: {rate: 1, budget: {limit: 1 USD}}\n"
    async with stage.orchestrator(LIKELY + audits, script=answer) as orchestrator:
        await orchestrator.run(PLAN, {"said": []}, agent="a", task_id="t")
        await orchestrator._services.engine.idle()
        ledger = orchestrator._services.ledger
        assert await ledger.rests(LIKE, "write", 200) == [Money(500_000)]
        assert {one.task_id for one in await ledger.courses(LIKE, 200)} == {"t"}
        assert len(await ledger.courses(LIKE, 1)) > 1, "the newest is no audit"
