"""Tests of what an agent costs, without a provider: run `pytest examples/testing_cost.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import Money, Orchestrator, TaskResult, step
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import ModelCallError
from orchestrator.testing import ScriptedModel, ScriptedReply

POLICY = Path(__file__).with_name("policy.yaml")
QUESTION = {"question": "Which ocean is the largest?"}
REPLY = ScriptedReply(text="The Pacific.", usage=Usage(input_tokens=200, output_tokens=50))
COST = Money.from_usd("0.0004")  # 200 tokens in at 1 USD per million, 50 out at 4


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    answer: str


async def answer(state: State) -> State:
    """The agent under test: one question."""
    return {"answer": (await step("answer").ask(state["question"])).text}


graph = StateGraph(State).add_node("answer", answer).set_entry_point("answer")


def run(model: ScriptedModel, folder: Path, budget: str = "0.01") -> TaskResult:
    """Run the agent once, on a ledger of its own."""
    store = f"sqlite:///{folder}/ledger.db"
    with Orchestrator.from_policy(POLICY, store=store, client=model) as orchestrator:
        return orchestrator.run_sync(graph, QUESTION, agent="guide", budget=budget)


def test_a_task_costs_what_its_tokens_cost(tmp_path: Path) -> None:
    """Known to the nano-dollar."""
    assert run(ScriptedModel([REPLY]), tmp_path).cost.total == COST


def test_a_busy_provider_is_asked_again_and_adds_nothing(tmp_path: Path) -> None:
    """An answer 429 is not billed."""
    busy = ModelCallError("rate_limited", "too many requests", retry_after_s=0.01)
    result = run(ScriptedModel([busy, REPLY]), tmp_path)
    assert [attempt.cost for attempt in result.attempts] == [Money.ZERO, COST]


def test_a_reply_that_broke_off_is_booked_at_the_most_it_can_have_cost(tmp_path: Path) -> None:
    """Nobody can know what the provider billed, so nobody claims to."""
    broken = ScriptedReply(text="The Pa", cut_after=1)
    result = run(ScriptedModel([broken, REPLY]), tmp_path)
    assert [attempt.certainty for attempt in result.attempts] == ["estimated", "known"]


def test_too_little_money_halts_the_task_before_it_asks(tmp_path: Path) -> None:
    """Nothing is sent that could cost more than is left."""
    model = ScriptedModel([REPLY])
    result = run(model, tmp_path, budget="0.0001")
    assert result.halt is not None
    assert (result.halt.reason, result.halt.scope) == ("budget", "task")
    assert model.requests == []
