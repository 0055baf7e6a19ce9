"""A ``check=`` that refuses what the memo gives: who pays then, and what is remembered."""

import asyncio
from typing import TypedDict

from langgraph.graph import StateGraph

from orchestrator import step
from orchestrator.models.protocol import Completion

MEMO = "steps: {plan: {models: [small], memo: {fresh_for: 1h, share: team}}}"


class State(TypedDict, total=False):
    answer: str
    from_memo: bool


def asking(check=None) -> StateGraph:
    async def ask(state: State) -> State:
        reply = await step("plan").ask("q", check=check)
        return {"answer": reply.text, "from_memo": reply.from_memo}

    return StateGraph(State).add_node("ask", ask).set_entry_point("ask")


def is_not_bad(reply) -> bool:
    return reply.text != "bad"


async def test_of_a_hundred_whose_check_refuses_the_entry_one_pays(stage):
    texts = iter(["bad", "good"])

    def script(_request):
        return Completion(text=next(texts), finish_reason="stop")

    async with stage.orchestrator(MEMO, script=script) as orchestrator:

        async def one(check=None):
            return (await orchestrator.run(asking(check), {}, agent="a")).output

        # Checked, so that no missing check refuses it before the function does.
        assert await one(lambda _reply: True) == {"answer": "bad", "from_memo": False}
        answers = await asyncio.gather(*(one(is_not_bad) for _ in range(100)))
        assert [answer["answer"] for answer in answers] == ["good"] * 100
        assert sum(answer["from_memo"] for answer in answers) == 99
        assert len(stage.asked) == 2
        # The reply that passed has taken the place of the one that was refused.
        assert await one() == {"answer": "good", "from_memo": True}


async def test_checks_that_refuse_everything_each_pay_for_their_own_and_end(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        await orchestrator.run(asking(), {}, agent="a")
        results = await asyncio.gather(
            *(orchestrator.run(asking(lambda _: False), {}, agent="a") for _ in range(10))
        )
    assert [result.status for result in results] == ["completed"] * 10
    assert not any(result.output["from_memo"] for result in results)
    assert len(stage.asked) == 11
