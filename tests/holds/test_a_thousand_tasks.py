"""A thousand tasks at once on one budget: exactly what the arithmetic says is served."""

import asyncio
from typing import TypedDict

from langgraph.graph import START, StateGraph

from orchestrator import Money, step

TASKS = 1000
CALLS = 200


class State(TypedDict, total=False):
    number: int
    text: str


async def test_a_thousand_tasks_at_once_on_one_team_budget_for_two_hundred_calls(ground):
    cost = Money(20_000)
    limit = cost * CALLS
    everybody_asks = asyncio.Event()
    asking: list[int] = []

    async def ask(state: State) -> State:
        asking.append(state["number"])
        if len(asking) == TASKS:
            everybody_asks.set()
        reply = await step("s").ask(f"question {state['number']:04d}")
        return {"text": reply.text}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")
    answer = ground.upstream._answer

    async def answer_late(*request):
        await everybody_asks.wait()
        return await answer(*request)

    ground.upstream._answer = answer_late  # so that nearly all have to wait for money
    policy = f"budgets: {{team: {{limit: {limit.usd:f} USD, per: month}}}}"
    async with ground.orchestrator(policy) as orchestrator:
        ground.watch("team", limit)
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(orchestrator.run(graph, {"number": number}, agent="a"))
                for number in range(TASKS)
            ]
        results = [one.result() for one in running]
        sound = await orchestrator._opened()._services.ledger.verify()
    bound = ground.bound()
    served = (limit.nano - bound.nano) // cost.nano + 1
    assert 0 < served < CALLS, "the bound is dearer than a call, or nothing is shown"

    completed = [one for one in results if one.status == "completed"]
    halted = [one for one in results if one.status == "halted"]
    assert len(completed) == served
    assert len(completed) + len(halted) == TASKS
    assert {(one.halt.reason, one.halt.scope, one.halt.limit) for one in halted} == {
        ("budget", "team", limit)
    }
    assert all(one.output is None and not one.attempts for one in halted)

    assert len(ground.upstream.log) == served
    assert ground.ledger_total() == ground.upstream.billed == cost * served
    assert {one.certainty for one in ground.spendings()} == {"known"}

    ((states, most, last),) = ground.rows("SELECT count(*), max(committed), max(settled) FROM seen")
    assert most <= limit.nano, "never past the limit at any state that was written"
    assert most > limit.nano - bound.nano, "and the limit was really reached"
    assert states > 0
    assert last == ground.upstream.billed.nano
    assert sound.is_sound
