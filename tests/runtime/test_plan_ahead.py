"""A task with a limit keeps enough for its cheapest finish, by how such tasks went before."""

import operator
from math import inf
from types import SimpleNamespace
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import Money, step
from orchestrator.core.usage import Usage
from orchestrator.ledger.courses import Spent
from orchestrator.models.protocol import Completion
from orchestrator.reports.explanation import in_words
from orchestrator.reports.routing import choices
from orchestrator.routing.learning import courses
from orchestrator.routing.learning.courses import Courses, Stop, Taken
from orchestrator.routing.learning.outlook import Outlook
from orchestrator.runtime.choice.foresight import Ahead

ASKS = 8


class State(TypedDict, total=False):
    models: Annotated[list[str], operator.add]


def answer(request) -> Completion:
    text = "good" if "large" in request.settings.model else "poor"
    return Completion(text=text, finish_reason="stop", usage=Usage(99, 1), served_model="m")


async def work(state: State) -> State:
    replies = [
        await step("s").ask(f"part {number}", check=lambda reply: reply.text == "good")
        for number in range(ASKS)
    ]
    return {"models": [reply.model for reply in replies]}


GRAPH = StateGraph(State).add_node("work", work).set_entry_point("work")


async def history(orchestrator, count=courses.ENOUGH):
    for number in range(count):
        done = await orchestrator.run(GRAPH, {"models": []}, agent="a", task_id=f"t{number}")
        assert done.status == "completed"
    assert done.output["models"] == ["large"] * ASKS, "the small one's replies never pass"


async def tight(orchestrator, task_id="tight", **limits):
    return await orchestrator.run(GRAPH, {"models": []}, agent="a", task_id=task_id, **limits)


async def play(stage, monkeypatch):
    """A large reply reserves 1,760 millionths and costs 1,000, a small one 176 and 100."""
    async with stage.orchestrator("", script=answer) as orchestrator:
        await history(orchestrator)
        told = []
        for budget in ("0.00176", "0.0018", "0.003"):
            one = await tight(orchestrator, task_id=f"ahead-{budget}", budget=budget)
            assert one.status == "completed", one
            told.append(one.output["models"])
        stranger = await tight(orchestrator, task_id="stranger", tenant="other", budget="0.00176")
        assert stranger.attempts
        with monkeypatch.context() as patched:
            patched.setattr(courses, "ENOUGH", 1000)
            told.append((await tight(orchestrator, budget="0.00176")).halt.reason)
    return told


async def test_a_tight_budget_is_spread_where_it_was_spent_at_once(
    stage, monkeypatch, postgres_url
):
    lives = []
    for store in ("", "memory://", postgres_url):
        stage.elsewhere = store
        lives.append(await play(stage, monkeypatch))
        if not store:
            recorded = choices(stage.store, "ahead-0.00176")
            strangers = choices(stage.store, "stranger")

    *spread, unspread = lives[0]
    # All parts are alike, so that it is one which of them the large model is asked for.
    assert [models.count("large") for models in spread] == [0, 1, 2]
    assert [len(models) for models in spread] == [ASKS] * 3
    assert unspread == "budget"
    assert lives[1] == lives[2] == lives[0], "the same log, the same decisions"
    words = "\n".join(in_words(*recorded[0]))
    assert "7 calls are to come after this one, needing $0.000776 at the least" in words
    assert "Too little for that would be left after large. Else large would have been" in words
    told = "\n".join(line for one in strangers for line in in_words(*one))
    assert "small" in told
    assert "are to come after" not in told, "how tasks of another tenant went is nobody's to know"


async def test_nothing_is_held_back_where_nothing_is_short(stage):
    """A reply that fails a check is escalated, also to a model that always failed another."""

    def reply(request) -> Completion:
        sums = "2 + 2 = 5" if "hard" in str(request.messages) else "2 + 2 = 4"
        text = sums if "large" in request.settings.model else f"{sums}\nANSWER: 4"
        return Completion(text=text, finish_reason="stop", usage=Usage(99, 1), served_model="m")

    async def ask(state: State) -> State:
        found = await step("s").ask(state["models"][0])
        return {"models": [found.model]}

    graph = StateGraph(State).add_node("ask", ask).set_entry_point("ask")
    policy = """
limits: {timeout: 1h}
steps: {s: {checks: [form: ANSWER, arithmetic]}}
"""
    async with stage.orchestrator(policy, script=reply) as orchestrator:
        asked = []
        for number in range(courses.ENOUGH + 4):
            question = "hard" if number % 4 == 3 else "easy"
            done = await orchestrator.run(graph, {"models": [question]}, agent="a")
            asked.append([one.model for one in done.attempts])

    assert asked == ([["small"]] * 3 + [["small", "large"]]) * (courses.ENOUGH // 4 + 1)


async def test_without_a_limit_or_a_choice_no_history_is_read(stage, monkeypatch):
    async with stage.orchestrator("", script=answer) as orchestrator:
        ledger = orchestrator._services.ledger

        async def unread(*_):
            message = "read for nothing"
            raise AssertionError(message)

        monkeypatch.setattr(ledger, "courses", unread)
        done = await tight(orchestrator)
        assert done.status == "completed"
        limited = await tight(orchestrator, task_id="limited", budget="1")
        assert limited.status == "failed", "with a limit it is read"


def spent(number, *asks, seconds=1.0):
    """One task: its asks as (step, kind, model, cost in millionths of a dollar)."""
    return [
        Spent(
            f"t{number}", bool(step), step, kind, f"k{at}", model, cost * 2000, cost * 1000, seconds
        )
        for at, (step, kind, model, cost) in enumerate(asks)
    ]


def alike(_stop, costs):
    return dict.fromkeys(costs, 0.5)


NOW = Stop(is_own=True, step="look", is_asked=True)


def test_what_follows_is_what_nine_in_ten_tasks_stayed_within():
    look, write = ("look", "ask", "small", 100), ("write", "ask", "small", 300)
    rows = [
        row
        for number in range(30)
        for row in spent(number, look, *[write] * (1 + number % 10), ("t", "tool", "search", 50))
    ]
    found = Courses.of(rows)
    plan = found.ahead(NOW, 0, alike)
    assert [len(step) for step in plan] == [1] * 11, "the longest but one tenth"
    assert {step[0].name: round(step[0].cost * 10**6) for step in plan} == {
        "small": 300,
        "search": 50,
    }
    assert found.ahead(NOW, 1, alike) is None, "nobody looked twice"
    assert Courses.of(rows[:50]).ahead(NOW, 0, alike) is None, "too few tasks"


def test_what_an_ask_takes_counts_its_retries_and_its_part_of_the_checks():
    row = spent(0, ("s", "ask", "small", 100))[0]
    rows = [
        row,
        row._replace(kind="retry", cost=20_000),
        row._replace(kind="judge", model="judge", cost=60_000),
        row._replace(kind="escalation", model="large", cost=900_000, reserve=2_000_000),
        row._replace(kind="audit", model="large", cost=5_000_000),
    ]
    taken = Courses.of(rows).taken[Stop(is_own=True, step="s", is_asked=True)]
    assert {name: one.costs for name, one in taken.items()} == {
        "small": [pytest.approx(0.00015)],
        "large": [pytest.approx(0.00093)],
    }


def outlook(name, quality, cost):
    return Outlook(
        action=name, name=name, accepted=quality, quality=quality, lower=0, cost=cost, seen=50
    )


@pytest.mark.parametrize(
    ("money", "seconds", "settles_for", "taken"),
    [
        (None, 1000.0, None, "large"),
        (None, 25.0, None, "small"),  # large takes 10 s, and 20 s are to come
        (None, 5.0, None, "large"),  # what cannot last is not saved for
        (Money(10**9), inf, None, "large"),
        (Money(10**6), inf, None, "small"),
        (Money(10**6), inf, 0.4, None),
    ],
)
def test_a_choice_that_leaves_too_little_gives_way(money, seconds, settles_for, taken):
    rest = [("write", "ask", "small", 300)] * 2
    rows = [
        row
        for number in range(20)
        for row in (
            *spent(number, ("look", "ask", "small", 100), *rest, seconds=10.0),
            *spent(f"{number} large", ("look", "ask", "large", 900), seconds=10.0),
        )
    ]
    found = Courses.of(rows)
    plan = [[found.taken[stop]["small"].choice("small", 0.9)] for stop in found.tasks[0][1:]]
    run = SimpleNamespace(money_left=lambda: money, deadline=SimpleNamespace(remaining_s=seconds))
    ahead = Ahead(run, found, NOW, plan)
    expected = [outlook("large", 0.9, 0.0009)]
    if settles_for is None:
        expected.append(outlook("small", 0.3, 0.0001))
        found.taken[NOW]["small"] = Taken([0.0001] * 2, 0.0002, [2.0] * 2)
    bounds = {"large": 0.0018, "small": 0.0002}
    if money is not None and money.nano == 10**6:
        bounds["large"] = 0.0009
    chosen, noted = ahead.heed("large", expected, bounds, settles_for)
    assert chosen == taken
    assert noted["instead_of"] == (None if taken == "large" else "large")
