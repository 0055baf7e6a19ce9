"""Checks that ask a model: when they are asked, what they cost, and that nothing is paid twice."""

import asyncio
import json
from contextlib import suppress
from typing import TypedDict

import pytest
from langgraph.graph import StateGraph

from orchestrator import step
from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.events import AttemptStarted
from orchestrator.core.money import Money
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError, ToolCall
from orchestrator.models.scripted import ScriptedReply

MODELS = """
models:
  small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}
  large: {model: openai/large, max_output_tokens: 10, price: {input: 10, output: 10}}
"""
JUDGE = "steps: {a: {models: [small, large], checks: [%s judge: {model: large, budget: %s USD}]}}"
JUDGED = JUDGE % ("", "0.1")
AGREED = "steps: {a: {models: [small, large], checks: [agreement]}}"


class State(TypedDict, total=False):
    answer: str
    confidence: float | None
    cost: int
    more: str


def asking(**given):
    async def ask(state):
        reply = await step("a").ask("What is 2 + 3?", **given)
        return {
            "answer": f"{reply.model}: {reply.text}",
            "confidence": reply.confidence,
            "cost": reply.cost.nano,
        }

    return StateGraph(State).add_node("ask", ask).set_entry_point("ask")


def says(text, tokens=20):
    return Completion(text=text, finish_reason="stop", usage=Usage(tokens - 1, 1))


def judgement(acceptable, tokens=20):
    return says(json.dumps({"why": "so", "acceptable": acceptable}), tokens)


def is_judging(request):
    return request.messages[0]["role"] == "system"


def started(stage):
    return [one for one in stage.events if isinstance(one, AttemptStarted)]


def kinds(stage):
    return [one.kind for one in started(stage)]


async def test_a_judge_that_is_content_ends_the_ask(stage):
    def script(request):
        return judgement(acceptable=True) if is_judging(request) else says("5")

    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"] == "small: 5"
    assert result.output["confidence"] == 1.0
    assert kinds(stage) == ["ask", "judge"]
    # The judgement of the large model costs ten times what the reply of the small one does.
    assert result.output["cost"] == result.cost.total.nano == 20_000 + 200_000
    assert [(one.step, one.model) for one in result.attempts] == [("a", "small"), ("a", "large")]


async def test_a_judge_that_is_not_leads_to_the_next_model(stage):
    def script(request):
        if is_judging(request):
            return judgement(acceptable='"text": "5"' in request.messages[1]["content"])
        return says({"small": "6", "large": "5"}[request.settings.name])

    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"] == "large: 5"
    assert kinds(stage) == ["ask", "judge", "escalation", "judge"]


async def test_a_judge_is_asked_only_about_what_passed_the_free_checks(stage):
    def script(request):
        if is_judging(request):
            return judgement(acceptable=True)
        return says({"small": "2 + 3 = 6", "large": "2 + 3 = 5"}[request.settings.name])

    policy = JUDGE % ("arithmetic,", "0.1")
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"] == "large: 2 + 3 = 5"
    assert kinds(stage) == ["ask", "escalation", "judge"]


@pytest.mark.parametrize(
    "answer",
    [says("Looks fine to me!"), ModelCallError("rejected", "no", status=400), "length"],
)
async def test_a_judge_without_a_judgement_is_not_checked(stage, answer):
    if answer == "length":
        answer = Completion(text='{"acc', finish_reason="length", usage=Usage(9, 9))

    def script(request):
        return answer if is_judging(request) else says("5")

    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert (result.status, result.output["answer"]) == ("completed", "small: 5")
    assert result.output["confidence"] is None


async def test_a_judge_the_task_cannot_pay_halts_nothing(stage):
    def script(request):
        assert not is_judging(request)
        return says("5")

    policy = f"budgets: {{task: {{limit: 0.0015 USD}}}}\n{JUDGED}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert (result.status, result.output["answer"]) == ("completed", "small: 5")
    assert result.output["confidence"] is None
    assert kinds(stage) == ["ask"]


async def test_a_judge_the_limits_refuse_halts_nothing(stage):
    policy = f"limits: {{model_calls: 1}}\n{JUDGED}"
    async with stage.orchestrator(policy, script=lambda _: says("5")) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert (result.status, result.output["answer"]) == ("completed", "small: 5")


async def test_judging_keeps_to_its_own_budget_over_resumes(stage):
    """Three judgements fit: two that cost little, and one more at its worst case."""

    async def ask(state):
        for number in range(6):
            await step("a").ask(f"What is {number} + 3?")
        return {"more": "yes"}

    def script(request):
        return judgement(acceptable=True) if is_judging(request) else says("5")

    graph = StateGraph(State).add_node("ask", ask).set_entry_point("ask")
    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        await orchestrator.run(graph, {}, agent="x")
    assert kinds(stage).count("judge") == 6
    bound = next(one.reserved for one in started(stage) if one.kind == "judge")

    stage.events.clear()
    limit = bound + Money(2 * 200_000)
    policy = (JUDGE % ("", f"{limit.usd:f}")) + "\nlimits: {model_calls: 3}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        halted = await orchestrator.run(graph, {}, agent="x", task_id="t")
        assert halted.halt.reason == "model_calls"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.resume("t", graph=graph, extend={"model_calls": 20})

    assert result.status == "completed"
    assert kinds(stage).count("judge") == 3
    assert kinds(stage).count("ask") == 6


async def test_what_was_judged_is_not_judged_again_after_a_restart(stage):
    """The ledger goes between the judgement and the decision that follows from it."""

    def script(request):
        return judgement(acceptable=True) if is_judging(request) else says("5")

    def gone(decision):
        message = "the disk is gone"
        raise LedgerUnavailable(message)

    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        orchestrator._services.ledger.decide = gone
        with pytest.raises(LedgerUnavailable):
            await orchestrator.run(asking(), {}, agent="x", task_id="t")
    assert kinds(stage) == ["ask", "judge"]

    async with stage.orchestrator(JUDGED, script=script) as orchestrator:
        result = await orchestrator.resume("t", graph=asking())

    assert result.output["answer"] == "small: 5"
    assert result.output["confidence"] == 1.0
    assert kinds(stage) == ["ask", "judge"]


async def test_two_cheap_replies_that_agree_are_enough(stage):
    texts = iter(['{"sum": 5, "of": [2, 3]}', '{"of": [3, 2], "sum": 5.0}'])
    async with stage.orchestrator(AGREED, script=lambda _: says(next(texts))) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"].startswith("small: ")
    assert result.output["confidence"] == 1.0
    assert kinds(stage) == ["ask", "agreement"]
    assert result.output["cost"] == 40_000


async def test_two_cheap_replies_that_do_not_lead_to_the_dearest_which_needs_no_second(stage):
    texts = iter(["5", "6", "7"])
    async with stage.orchestrator(AGREED, script=lambda _: says(next(texts))) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"] == "large: 7"
    assert kinds(stage) == ["ask", "agreement", "escalation"]
    assert result.output["cost"] == result.cost.total.nano == 240_000


async def test_a_second_reply_may_come_from_another_model(stage):
    policy = AGREED.replace("[agreement]", "[agreement: other]")
    other = "  other: {model: openai/other, max_output_tokens: 10, price: {input: 2, output: 2}}\n"
    async with stage.orchestrator(
        policy, script=lambda _: says("5"), models=MODELS + other
    ) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert [one.model for one in result.attempts] == ["small", "other"]
    assert kinds(stage) == ["ask", "agreement"]


async def test_a_check_that_is_dearer_than_the_strong_model_is_not_worth_asking_the_weak_one(stage):
    policy = AGREED.replace("[agreement]", "[agreement: large]")
    async with stage.orchestrator(policy, script=lambda _: says("5")) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert [one.model for one in result.attempts] == ["large"]


async def test_the_cheaper_of_two_paid_checks_comes_first_and_may_spare_the_other(stage):
    policy = JUDGED.replace("[", "[agreement, ", 2).replace("[agreement, small", "[small")
    texts = iter(["5", "6"])

    def script(request):
        if is_judging(request):
            return judgement(acceptable=True)
        return says(next(texts, "7"))

    async with stage.orchestrator(policy, script=script) as orchestrator:
        await orchestrator.run(asking(), {}, agent="x")

    assert kinds(stage) == ["ask", "agreement", "escalation", "judge"]


async def test_a_memo_serves_what_was_judged_and_judges_nothing_anew(stage):
    def script(request):
        return judgement(acceptable=True) if is_judging(request) else says("5")

    policy = JUDGED.replace("checks:", "memo: {fresh_for: 1h, share: team}, checks:")
    async with stage.orchestrator(policy, script=script) as orchestrator:
        first = await orchestrator.run(asking(), {}, agent="x")
        second = await orchestrator.run(asking(), {}, agent="x")

    assert (first.output["answer"], first.output["confidence"]) == ("small: 5", 1.0)
    assert (second.output["answer"], second.output["confidence"]) == ("small: 5", 1.0)
    assert second.cost.total.nano == 0
    assert kinds(stage) == ["ask", "judge"]


async def test_a_memo_does_not_serve_what_nobody_judged(stage):
    answers = iter([says("hm"), judgement(acceptable=True)])

    def script(request):
        return next(answers) if is_judging(request) else says("5")

    policy = JUDGED.replace("checks:", "memo: {fresh_for: 1h, share: team}, checks:")
    async with stage.orchestrator(policy, script=script) as orchestrator:
        await orchestrator.run(asking(), {}, agent="x")
        second = await orchestrator.run(asking(), {}, agent="x")

    assert kinds(stage) == ["ask", "judge", "ask", "judge"]
    assert second.output["confidence"] == 1.0


async def test_log_probabilities_are_asked_for_where_they_are_checked(stage):
    wanted = []

    def script(request):
        wanted.append((request.settings.name, request.logprobs))
        sure = -0.01 if request.settings.name == "large" else -5.0
        return Completion(text="5", finish_reason="stop", usage=Usage(9, 1), logprobs=(sure,))

    policy = "steps: {a: {checks: [logprobs: {at_least: 0.5}]}, b: {checks: [arithmetic]}}"

    async def ask(state):
        reply = await step("a").ask("What is 2 + 3?")
        await step("b").ask("What is 2 + 3?")
        return {"answer": reply.model}

    graph = StateGraph(State).add_node("ask", ask).set_entry_point("ask")
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.run(graph, {}, agent="x")

    assert result.output["answer"] == "large"
    assert wanted == [("small", True), ("large", True), ("small", False)]


async def test_the_tests_of_a_policy_decide_who_answers(stage):
    (stage.folder / "adds.py").write_text("from reply import add\nassert add(2, 3) == 5\n")

    def script(request):
        sign = {"small": "-", "large": "+"}[request.settings.name]
        return says(f"```python\ndef add(a, b):\n    return a {sign} b\n```")

    policy = "steps: {a: {checks: [tests: adds.py]}}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.run(asking(), {}, agent="x")

    assert result.output["answer"].startswith("large")


async def test_a_call_of_a_tool_that_does_not_exist_escalates(stage):
    def search(words: str) -> str:
        """Search."""
        return words

    def script(request):
        name = {"small": "serch", "large": "search"}[request.settings.name]
        call = ToolCall("1", name, '{"words": "a"}')
        return Completion(
            text="", finish_reason="tool_calls", tool_calls=(call,), usage=Usage(9, 1)
        )

    policy = "steps: {a: {checks: [tools]}}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        result = await orchestrator.run(asking(tools=[search]), {}, agent="x")

    assert result.output["answer"].startswith("large")


async def test_who_stops_waiting_for_a_judge_does_not_give_its_money_back(stage):
    async def impatient(state):
        for number in range(6):
            before = len(judged)
            asks = asyncio.create_task(step("a").ask(f"What is 2 + {number}?"))
            while not asks.done() and len(judged) == before:
                await asyncio.sleep(0.002)
            asks.cancel()
            with suppress(asyncio.CancelledError):
                await asks
        return {"answer": "done"}

    def script(request):
        if is_judging(request):
            judged.append(request)
            return ScriptedReply(text="{}", usage=Usage(190, 10), delay_s=0.2)
        return says("5")

    judged = []
    graph = StateGraph(State).add_node("ask", impatient).set_entry_point("ask")
    # The worst case of a judgement fits once.
    async with stage.orchestrator(JUDGE % ("", "0.012"), script=script) as orchestrator:
        await orchestrator.run(graph, {}, agent="x")
    assert len(judged) == 1
