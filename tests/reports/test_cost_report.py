"""Cost by any dimension: no grouping loses or invents a nano-dollar."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import Money, Orchestrator, TaskNotFound, step
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError
from orchestrator.models.scripted import ScriptedModel
from orchestrator.reports.cost import DIMENSIONS, cost_by, dimensions, moment
from orchestrator.reports.tasks import list_tasks, show_task

POLICY = """
org: acme
team: research
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 0.107, output: 0.331}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 7, output: 13}}
steps:
  plan: {models: [small]}
  answer: {models: [large]}
"""

TOO_LITTLE_FOR_THE_ANSWER = "0.0001"


class State(TypedDict, total=False):
    question: str


async def plan(state: State) -> State:
    await step("plan").ask(f"Plan {state['question']}")
    return {}


async def answer(state: State) -> State:
    await step("answer").ask(f"Answer {state['question']}")
    return {}


GRAPH = StateGraph(State).add_sequence([plan, answer]).set_entry_point("plan")


def replies():
    """Every third reply has odd counts, every fifth breaks off: booked at its bound."""
    for number in itertools.count(1):
        if number % 5 == 0:
            yield ModelCallError("broken", "cut")
        yield Completion(
            text="ok", finish_reason="stop", usage=Usage(number * 7, number % 3), served_model="m"
        )


@pytest.fixture
async def store(tmp_path) -> str:
    """A ledger with tasks of several agents, users and tenants; some halted."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    script = replies()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with Orchestrator.from_policy(
        tmp_path / "policy.yaml", store=url, client=ScriptedModel(lambda _: next(script))
    ) as orchestrator:
        for number in range(9):
            await orchestrator.run(
                GRAPH,
                {"question": str(number)},
                agent=f"a{number % 2}",
                user=f"u{number % 3}" if number % 3 else None,
                tenant="blue" if number % 4 == 0 else None,
                task_id=f"t{number}",
                budget=TOO_LITTLE_FOR_THE_ANSWER if number % 4 == 3 else None,
            )
    return url


async def test_every_grouping_adds_up_to_what_the_tasks_cost(store):
    tasks = list_tasks(store)
    whole = sum((cost for _, cost in tasks), Money.ZERO)
    (all_of_it,) = cost_by(store, ())
    assert whole > Money.ZERO
    assert all_of_it.cost == whole
    assert all_of_it.estimated > Money.ZERO

    for size in range(1, len(DIMENSIONS) + 1):
        for by in itertools.combinations(DIMENSIONS, size):
            totals = cost_by(store, by)
            groups = {total.group for total in totals}
            assert len(groups) == len(totals), by
            assert sum((total.cost for total in totals), Money.ZERO) == whole, by
            assert sum((total.known for total in totals), Money.ZERO) == all_of_it.known, by
            assert sum(total.attempts for total in totals) == all_of_it.attempts, by


async def test_a_group_is_what_its_own_tasks_cost(store):
    by_task = {total.group[0]: total.cost for total in cost_by(store, ("task",))}

    assert by_task == {record.opening.scope.task_id: cost for record, cost in list_tasks(store)}
    for task_id, cost in by_task.items():
        _, attempts = show_task(store, task_id)
        assert sum((attempt.cost for attempt in attempts), Money.ZERO) == cost


async def test_the_dearest_group_comes_first(store):
    costs = [total.cost for total in cost_by(store, ("agent", "step"))]

    assert costs == sorted(costs, reverse=True)


async def test_a_period_is_half_open(store):
    _, attempts = show_task(store, "t0")
    first = attempts[0].at

    assert cost_by(store, ("task",), until=first) == []
    (only,) = cost_by(store, ("task",), since=first, until=first + timedelta(microseconds=1))
    assert (only.group, only.attempts) == (("t0",), 1)


async def test_tasks_are_chosen_by_status_agent_and_number(store):
    halted = {record.opening.scope.task_id for record, _ in list_tasks(store, status="halted")}
    done = {record.opening.scope.task_id for record, _ in list_tasks(store, status="completed")}

    assert halted == {"t3", "t7"}
    assert halted | done == {f"t{number}" for number in range(9)}
    assert {record.opening.scope.agent for record, _ in list_tasks(store, agent="a1")} == {"a1"}
    assert [r.opening.scope.task_id for r, _ in list_tasks(store, limit=2)] == ["t8", "t7"]
    with pytest.raises(TaskNotFound, match="'nobody'"):
        show_task(store, "nobody")


def test_a_ledger_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(LedgerUnavailable, match="there is no ledger at"):
        cost_by(f"sqlite:///{tmp_path / 'ledger.db'}", ("team",))
    assert list(tmp_path.iterdir()) == []


def test_dimensions_are_read_in_the_order_they_are_named():
    assert dimensions("model, step,model") == ("model", "step")
    with pytest.raises(ValueError, match="planet, sun is no dimension; use org, team"):
        dimensions("planet,step,sun")
    with pytest.raises(ValueError, match="nothing is no dimension"):
        dimensions(" , ")


def test_a_moment_without_a_zone_is_utc():
    assert moment(None) is None
    assert moment("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026-11-01T08:00+01:00") == datetime(
        2026, 11, 1, 8, tzinfo=timezone(timedelta(hours=1))
    )
    with pytest.raises(ValueError, match="write 2026-11-01"):
        moment("yesterday")
