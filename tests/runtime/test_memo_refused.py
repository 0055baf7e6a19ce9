"""A ``check=`` that refuses what the memo gives: who pays then, and what is remembered."""

import asyncio

from orchestrator.models.protocol import Completion

MEMO = "steps: {plan: {models: [small], memo: {fresh_for: 1h, share: team}}}"


def is_not_bad(reply) -> bool:
    return reply.text != "bad"


async def test_of_a_hundred_whose_check_refuses_the_entry_one_pays(stage):
    texts = iter(["bad", "good"])

    def script(_request):
        return Completion(text=next(texts), finish_reason="stop")

    async with stage.orchestrator(MEMO, script=script) as orchestrator:

        async def one(check=None):
            told = (await stage.ask(orchestrator, graph=stage.asking(check=check))).output
            return told["answer"], told["from_memo"]

        # Checked, so that no missing check refuses it before the function does.
        assert await one(lambda _reply: True) == ("bad", False)
        answers = await asyncio.gather(*(one(is_not_bad) for _ in range(100)))
        assert sorted(answers) == [("good", False)] + [("good", True)] * 99
        assert len(stage.asked) == 2
        # The reply that passed has taken the place of the one that was refused.
        assert await one() == ("good", True)


async def test_checks_that_refuse_everything_each_pay_for_their_own_and_end(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
        refusing = stage.asking(check=lambda _: False)
        results = await asyncio.gather(
            *(stage.ask(orchestrator, graph=refusing) for _ in range(10))
        )
    assert [result.status for result in results] == ["completed"] * 10
    assert not any(result.output["from_memo"] for result in results)
    assert len(stage.asked) == 11
