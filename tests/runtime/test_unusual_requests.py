"""Requests and replies that are no plain text, or whose worst case is not plain."""

import asyncio
import hashlib
import json

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import Money, step
from orchestrator.core.usage import Usage
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.models.scripted import ScriptedReply
from orchestrator.runtime.run.request import digest
from orchestrator.runtime.storage.journal import decode, encode

BUDGET = "budgets: {task: {limit: 0.01 USD}}"
FREE = "unknown_price: free"
UNPRICED = "models: {small: {model: openai/nobody-knows-this, max_output_tokens: 10}}"
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


class State(TypedDict, total=False):
    done: int


def asks(prompt, **options) -> StateGraph:
    async def node(state: State) -> State:
        await step("s").ask([{"role": "user", "content": prompt}], **options)
        return {"done": 1}

    return StateGraph(State).add_node("node", node).add_edge(START, "node")


def questions(count: int) -> StateGraph:
    async def node(state: State) -> State:
        for number in range(count):
            await step("s").ask(f"question {number}")
        return {"done": count}

    return StateGraph(State).add_node("node", node).add_edge(START, "node")


def attempts(stage):
    with SqliteReader(stage.folder / "ledger.db") as reader:
        return list(reader.attempts())


def says(text: str = "ok", usage: Usage | None = None):
    return lambda _: Completion(text=text, finish_reason="stop", usage=usage)


# Text that is none


async def test_a_reply_with_half_a_character_is_booked_and_not_paid_again(stage):
    async def node(state: State) -> State:
        reply = await step("s").ask("hi")
        if failing:
            raise RuntimeError
        return {"done": len(reply.text)}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node")
    failing = [True]
    script = says("a\ud83d \ude00", Usage(19, 1))
    async with stage.orchestrator(BUDGET, script=script) as orchestrator:
        assert (await orchestrator.run(graph, {}, agent="a", task_id="t")).status == "failed"
    failing.clear()
    async with stage.orchestrator(BUDGET, script=script) as orchestrator:
        result = await orchestrator.resume("t", graph=graph)

    assert (result.status, result.output) == ("completed", {"done": 4})
    assert result.cost.total == result.cost.known == Money(20_000)
    assert len(stage.asked) == 1


@pytest.mark.parametrize(
    "text", ["plain", "价格 \U0001f600", "\ud800", "\ud83d\ude00", "\x00\\ud800"]
)
def test_the_journal_gives_a_reply_back_as_it_was(text):
    reply = Completion(
        text=text,
        finish_reason="stop",
        tool_calls=(ToolCall("1", "find", json.dumps({"q": text})), ToolCall("2", text, text)),
        served_model="m",
    )

    assert decode(encode(reply)) == reply


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "description": "\udcff"}}]},
        {"schema": {"type": "object", "description": "\udcff"}},
        {},
    ],
    ids=["tool", "schema", "prompt"],
)
async def test_a_request_that_cannot_be_sent_is_told_before_it_costs(stage, options):
    graph = asks("hi" if options else [{"type": "text", "text": "read \udcff.txt"}], **options)
    async with stage.orchestrator(BUDGET) as orchestrator:
        result = await orchestrator.run(graph, {}, agent="a")

    assert result.status == "failed"
    assert "lone surrogate" in result.error
    assert "errors='replace'" in result.error
    assert (stage.asked, attempts(stage)) == ([], [])


async def test_an_error_that_is_no_text_fails_its_own_task_only(stage):
    """Two tasks share a budget for one call at a time; a third fails while one of them waits."""
    fails_now = asyncio.Event()

    async def fails(state: State) -> State:
        await fails_now.wait()
        message = "cannot read \udcff.txt"
        raise RuntimeError(message)

    def script(_):
        fails_now.set()
        return ScriptedReply(text="ok", usage=Usage(2, 1), delay_s=0.2)

    broken = StateGraph(State).add_node("node", fails).add_edge(START, "node")
    shared = "budgets: {team: {limit: 0.0003 USD}}"
    async with stage.orchestrator(shared, script=script) as orchestrator:
        results = await asyncio.gather(
            orchestrator.run(questions(1), {}, agent="a"),
            orchestrator.run(questions(1), {}, agent="a"),
            orchestrator.run(broken, {}, agent="a", task_id="broken"),
        )
        again = await orchestrator.resume("broken", graph=broken)

    assert [one.status for one in results] == ["completed", "completed", "failed"]
    assert "cannot read" in again.error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"user": "\ud800"}, "user: "),
        ({"tags": {"k": "\ud800"}}, "tags: "),
        (
            {"budget": Money(10**20)},
            "budget: an amount must be above $0 and at most $1000000000.00",
        ),
    ],
    ids=["user", "tags", "budget"],
)
async def test_an_argument_that_cannot_be_stored_is_told(stage, arguments, told):
    async with stage.orchestrator() as orchestrator:
        with pytest.raises(ValueError, match="^" + told.replace("$", r"\$").replace(".", r"\.")):
            await orchestrator.run(questions(1), {}, agent="a", **arguments)


# Worst cases


async def test_a_usage_that_no_ledger_can_hold_is_not_believed(stage):
    script = says(usage=Usage(10**30, 1))
    async with stage.orchestrator(FREE, models=UNPRICED, script=script) as orchestrator:
        result = await orchestrator.run(questions(1), {}, agent="a")

    assert result.status == "completed"
    ((attempt),) = attempts(stage)
    assert (attempt.end, attempt.usage) == ("settled", None)


async def test_what_has_a_price_never_spends_outside_of_its_budget(stage):
    """``free`` is about prices that nobody knows: the input of a picture is another matter."""
    async with stage.orchestrator(
        f"{FREE}\n{BUDGET}", script=says(usage=Usage(50_000, 10))
    ) as orchestrator:
        result = await orchestrator.run(asks([PICTURE]), {}, agent="a")

    assert (result.status, result.halt.reason) == ("halted", "no_model")
    assert attempts(stage) == []


async def test_a_picture_reserves_the_whole_window_under_a_budget(stage):
    """The window of this model is known, so its worst case is too, whatever the policy says."""
    models = "models: {small: {model: openai/gpt-4o-mini, max_output_tokens: 10}}"
    policy = f"{FREE}\nbudgets: {{task: {{limit: 1 USD}}}}"
    async with stage.orchestrator(
        policy, models=models, script=says(usage=Usage(50_000, 10))
    ) as orchestrator:
        result = await orchestrator.run(asks([PICTURE]), {}, agent="a")

    ((attempt),) = attempts(stage)
    assert (result.status, attempt.certainty, attempt.overrun) == ("completed", "known", Money.ZERO)
    (started,) = (event for event in stage.events if hasattr(event, "reserved"))
    assert started.reserved >= Money.from_usd("0.0192")  # 128,000 tokens at $0.15 per million


async def test_a_window_that_the_policy_names_is_reserved_at_its_own_price(stage):
    models = (
        "models: {small: {model: openai/own, max_output_tokens: 10, context_window: 100k,"
        " price: {input: 1, output: 1}}}"
    )
    async with stage.orchestrator(
        "budgets: {task: {limit: 1 USD}}", models=models, script=says(usage=Usage(50_000, 10))
    ) as orchestrator:
        result = await orchestrator.run(asks([PICTURE]), {}, agent="a")

    assert result.status == "completed"
    (started,) = (event for event in stage.events if hasattr(event, "reserved"))
    assert started.reserved == Money.from_usd("0.10001")


async def test_without_a_budget_free_asks_and_books_what_is_billed(stage):
    async with stage.orchestrator(FREE, script=says(usage=Usage(50_000, 10))) as orchestrator:
        result = await orchestrator.run(asks([PICTURE]), {}, agent="a")
        again = await orchestrator.run(asks([PICTURE, PICTURE]), {}, agent="a")

    assert (result.status, again.status) == ("completed", "completed"), "no breaker tripped"
    assert [(one.cost, one.overrun) for one in attempts(stage)] == [
        (Money(50_010_000), Money.ZERO)
    ] * 2


@pytest.mark.parametrize("policy", ["", "unknown_price: estimate"])
async def test_otherwise_what_cannot_be_bounded_is_not_asked(stage, policy):
    async with stage.orchestrator(policy) as orchestrator:
        result = await orchestrator.run(asks([PICTURE]), {}, agent="a")

    assert (result.status, result.halt.reason) == ("halted", "no_model")


async def test_a_cache_that_lives_an_hour_is_reserved_and_booked_at_twice_the_input(stage):
    text = {"type": "text", "text": "x" * 1000}
    long_lived = text | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    script = says(usage=Usage(1001, 1, cache_write_tokens=1000))
    async with stage.orchestrator(BUDGET, script=script) as orchestrator:
        for content in (text, long_lived):
            await orchestrator.run(asks([content]), {}, agent="a")

    assert [one.cost for one in attempts(stage)] == [Money(1_002_000), Money(2_002_000)]
    plain, dear = (event.reserved for event in stage.events if hasattr(event, "reserved"))
    assert dear > plain + Money(1_000_000)


async def test_tokens_that_a_provider_does_not_say_count_as_the_bound(stage):
    limits = "limits: {tokens: 1000}"
    async with stage.orchestrator(limits, script=says()) as orchestrator:
        result = await orchestrator.run(questions(30), {}, agent="a", task_id="t")
        first = len(stage.asked)
        assert (result.status, result.halt.reason) == ("halted", "tokens")
        assert 1 < first < 10
        spent = result.halt.spent.count
    async with stage.orchestrator(limits, script=says()) as orchestrator:
        again = await orchestrator.resume("t", graph=questions(30))

    assert again.halt.spent.count == spent, "a resume remembers them"
    assert len(stage.asked) == first


@pytest.mark.parametrize("size", [0, 1, 2044, 2045, 2046, 4092, 20_000])
def test_a_long_request_is_digested_in_pieces_to_what_it_is_in_one(size):
    text = "x" * size
    assert digest(text) == hashlib.sha256(f'"{text}"'.encode()).hexdigest()
