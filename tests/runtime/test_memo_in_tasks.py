"""The memo in tasks: what it answers, what it never answers, what the ledger says of it."""

from datetime import datetime, timedelta

import pytest

from orchestrator import Money, step
from orchestrator.core.clock import SystemClock
from orchestrator.core.events import MemoServed
from orchestrator.ledger.stores.sqlite_reading import SqliteReader
from orchestrator.models.protocol import Completion, ModelCallError, ToolCall

MEMO = "steps: {plan: {memo: {fresh_for: 1h, share: team}}}"


class Later(SystemClock):
    """The machine's time, moved on by ``hours``."""

    hours = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


async def test_a_hit_costs_nothing_in_a_row_of_its_own_that_says_what_it_saved(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        paid = await stage.ask(orchestrator)
        hit = await stage.ask(orchestrator)
    assert stage.asked == ["q"]
    assert paid.output == {"question": "q", "answer": "ok", "from_memo": False, "cost": stage.price}
    assert hit.output == {"question": "q", "answer": "ok", "from_memo": True, "cost": Money.ZERO}
    assert (hit.cost.total, hit.attempts) == (Money.ZERO, ())
    first, second = stage.rows()
    assert (first.kind, first.cost, first.saved) == ("ask", stage.price, Money.ZERO)
    assert (second.kind, second.cost, second.saved) == ("memo", Money.ZERO, stage.price)
    assert (second.task_id, second.step, second.certainty) == (hit.task_id, "plan", "known")
    (served,) = [event for event in stage.events if isinstance(event, MemoServed)]
    assert (served.state, served.saved) == ("fresh", stage.price)
    with SqliteReader(stage.folder / "ledger.db") as reader:
        (total,) = reader.totals(["step"])
    assert (total.attempts, total.hits, total.cost, total.saved) == (1, 1, stage.price, stage.price)


async def test_a_check_that_costs_is_paid_for_on_a_hit_too(stage):
    """litellm 14749: a paid guardrail is zeroed on a hit."""

    async def is_allowed(reply):
        return (await step("guard").ask(f"Is this allowed: {reply.text}")).text == "ok"

    async def node(state):
        reply = await step("plan").ask("q", check=is_allowed)
        return {"answer": reply.text, "from_memo": reply.from_memo, "cost": reply.cost}

    async with stage.orchestrator(MEMO) as orchestrator:
        paid = await stage.ask(orchestrator, graph=stage.graph(node))
        hit = await stage.ask(orchestrator, graph=stage.graph(node))
    assert stage.asked == ["q", "Is this allowed: ok", "Is this allowed: ok"]
    assert (hit.output["from_memo"], hit.output["cost"]) == (True, Money.ZERO)
    guards = [row.cost for row in stage.rows() if row.step == "guard"]
    assert len(guards) == 2
    assert guards[0] == guards[1] > Money.ZERO
    assert (paid.cost.total, hit.cost.total) == (stage.price + guards[0], guards[1])


async def test_without_a_memo_each_task_asks_and_no_memo_is_made(stage):
    async with stage.orchestrator("steps: {plan: {memo: off}}") as orchestrator:
        for _ in range(2):
            await stage.ask(orchestrator)
    assert stage.asked == ["q", "q"]
    assert not (stage.folder / "memo").exists()


async def test_the_memo_lies_beside_the_ledger_for_its_owner_alone(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
    assert (stage.folder / "memo").stat().st_mode & 0o777 == 0o700
    async with stage.orchestrator(MEMO) as orchestrator:
        assert (await stage.ask(orchestrator)).output["from_memo"]


# Who may have an answer


@pytest.mark.parametrize(
    ("share", "who", "is_shared"),
    [
        ("user", {"user": "bob"}, False),
        ("user", {}, False),
        ("agent", {"user": "bob"}, True),
        ("agent", {"agent": "b"}, False),
        ("team", {"agent": "b", "user": "bob"}, True),
        ("public", {"tenant": "other"}, False),
    ],
)
async def test_nobody_beyond_the_share_gets_the_answer_of_another(stage, share, who, is_shared):
    policy = f"steps: {{plan: {{memo: {{fresh_for: 1h, share: {share}}}}}}}"
    async with stage.orchestrator(policy) as orchestrator:
        await stage.ask(orchestrator, user="alice")
        assert (await stage.ask(orchestrator, user="alice")).output["from_memo"]
        other = await stage.ask(orchestrator, **who)
    assert other.output["from_memo"] is is_shared


async def test_two_steps_and_two_questions_never_share_an_answer(stage):
    policy = 'steps: {"*": {memo: {fresh_for: 1h, share: team}}}'
    async with stage.orchestrator(policy) as orchestrator:
        await stage.ask(orchestrator, "where is order 123?")
        await stage.ask(orchestrator, "where is order 124?")
        await stage.ask(orchestrator, "where is order 123?", graph=stage.asking("other"))
        await stage.ask(
            orchestrator, "where is order 123?", graph=stage.asking(parameters={"temperature": 0})
        )
    assert len(stage.asked) == 4


async def test_what_a_prompt_is_labelled_as_narrows_who_gets_the_answer(stage):
    async with stage.orchestrator(MEMO) as orchestrator:
        private, secret = stage.asking(labels=("private",)), stage.asking(labels=("secret",))
        await stage.ask(orchestrator, "p", graph=private, user="alice")
        assert (await stage.ask(orchestrator, "p", graph=private, user="alice")).output["from_memo"]
        other = await stage.ask(orchestrator, "p", graph=private, user="bob")
        assert not other.output["from_memo"]
        for _ in range(2):
            kept = await stage.ask(orchestrator, "s", graph=secret, user="alice")
            assert not kept.output["from_memo"]


# For how long


async def test_an_answer_goes_stale_with_time_with_its_sources_and_with_the_policy(stage):
    policy = "steps: {plan: {memo: {fresh_for: 1h, share: team, reads: [catalog]}}}"
    clock = Later()
    async with stage.orchestrator(policy, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
        assert (await stage.ask(orchestrator)).output["from_memo"]
        clock.hours = 2
        assert not (await stage.ask(orchestrator)).output["from_memo"]
        assert (await stage.ask(orchestrator)).output["from_memo"]
        await orchestrator.touch("prices", "2")
        assert (await stage.ask(orchestrator)).output["from_memo"]
        assert await orchestrator.touch("catalog", "2") == "2"
        assert not (await stage.ask(orchestrator)).output["from_memo"]
        assert (await stage.ask(orchestrator)).output["from_memo"]
    changed = policy.replace("memo", "models: [small], checks: [arithmetic], memo")
    async with stage.orchestrator(changed, clock=clock) as orchestrator:
        assert not (await stage.ask(orchestrator)).output["from_memo"]


async def test_a_stale_answer_serves_within_its_rules_and_an_expired_one_when_models_fail(stage):
    policy = (
        "steps: {plan: {memo: {fresh_for: 1h, stale_for: 1h, stale_if_error: 9h, share: team}}}"
    )
    clock, fails = Later(), False

    def script(_request):
        return (
            ModelCallError("rejected", "no", status=401)
            if fails
            else Completion(text="ok", finish_reason="stop")
        )

    async with stage.orchestrator(policy, clock=clock, script=script) as orchestrator:
        await stage.ask(orchestrator)
        clock.hours, fails = 1.5, True
        assert (await stage.ask(orchestrator)).output["from_memo"]
        assert len(stage.asked) == 1
        clock.hours = 5
        assert (await stage.ask(orchestrator)).output["from_memo"]
        assert len(stage.asked) > 1
        clock.hours = 20
        failed = await stage.ask(orchestrator)
    assert failed.halt.reason == "no_model"
    states = [event.state for event in stage.events if isinstance(event, MemoServed)]
    assert states == ["stale", "error"]


async def test_an_expired_answer_that_stood_in_for_failed_models_is_not_fresh_again(stage):
    policy = "steps: {plan: {memo: {fresh_for: 1h, stale_if_error: 9h, share: team}}}"
    clock = Later()
    async with stage.orchestrator(policy, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
    clock.hours = 5
    failure = ModelCallError("rejected", "no", status=401)
    async with stage.orchestrator(policy, clock=clock, script=lambda _: failure) as orchestrator:
        assert (await stage.ask(orchestrator)).output["from_memo"]
    async with stage.orchestrator(policy, clock=clock) as orchestrator:
        assert not (await stage.ask(orchestrator)).output["from_memo"]


# What is good enough


async def test_what_was_cut_or_failed_its_checks_is_never_served(stage):
    policy = (
        "steps: {plan: {models: [small], checks: [form: '^A'], memo: {fresh_for: 1h, share: team}}}"
    )
    replies = [("B", "stop"), ("A", "length"), ("A", "stop")]

    def script(_request):
        text, reason = replies[len(stage.asked) - 1]
        return Completion(text=text, finish_reason=reason)

    async with stage.orchestrator(policy, script=script) as orchestrator:
        answers = [(await stage.ask(orchestrator)).output["from_memo"] for _ in range(4)]
    assert answers == [False, False, False, True]


async def test_an_unchecked_answer_does_not_serve_who_checks(stage):
    checked = stage.asking(check=lambda reply: reply.text == "ok")
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
        assert not (await stage.ask(orchestrator, graph=checked)).output["from_memo"]
        assert (await stage.ask(orchestrator, graph=checked)).output["from_memo"]
        refusing = stage.asking(check=lambda reply: False)
        assert not (await stage.ask(orchestrator, graph=refusing)).output["from_memo"]


@pytest.mark.parametrize("labels", [("\ud800",), (1,), ("private", None)])
async def test_a_label_that_is_no_text_is_refused_before_anything_is_paid(stage, labels):
    async with stage.orchestrator(MEMO) as orchestrator:
        result = await stage.ask(orchestrator, graph=stage.asking(labels=labels))
    assert result.status == "failed"
    assert "label" in result.error
    assert not stage.asked


async def test_tool_calls_are_part_of_the_answer(stage):
    call = ToolCall("1", "look_up", '{"order": 123}')
    reply = Completion(text="", finish_reason="tool_calls", tool_calls=(call,))

    async def node(state):
        return {"answer": str((await step("plan").ask("q")).tool_calls)}

    graph = stage.graph(node)
    async with stage.orchestrator(MEMO, script=lambda _: reply) as orchestrator:
        first, second = [await stage.ask(orchestrator, graph=graph) for _ in range(2)]
    assert first.output == second.output == {"question": "q", "answer": str((call,))}
    assert len(stage.asked) == 1


async def test_a_hit_streams_as_one_piece(stage):
    async def node(state):
        pieces = [piece async for piece in step("plan").stream("q")]
        return {"answer": "|".join(one.text for one in pieces), "cost": pieces[-1].reply.cost}

    graph = stage.graph(node)
    async with stage.orchestrator(MEMO) as orchestrator:
        await stage.ask(orchestrator)
        streamed = await stage.ask(orchestrator, graph=graph)
    assert streamed.output == {"question": "q", "answer": "ok", "cost": Money.ZERO}
