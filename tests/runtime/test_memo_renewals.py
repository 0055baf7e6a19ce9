"""What the memo asks anew in the background: who pays, who waits, and what ends it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from orchestrator import Money
from orchestrator.cli.main import app
from orchestrator.core.clock import SystemClock
from orchestrator.models.protocol import Completion
from orchestrator.reports.memo import savings_by_step

STEPS = "steps: {plan: {models: [small], memo: {fresh_for: 1h, stale_for: 9h, share: team}}}"
UPKEEP = "memo: {upkeep: {limit: 1 USD, per: day}}"
TO_NOON = 12 - datetime.now(UTC).hour


class Later(SystemClock):
    """Noon, moved on by ``hours``: a budget for a day stays that of one day."""

    hours = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(hours=TO_NOON + self.hours)


@pytest.fixture(params=["sqlite", "postgres"])
def stage(stage, request, monkeypatch, tmp_path):
    """The memo lies on this machine, wherever the ledger is."""
    if request.param == "postgres":
        pytest.importorskip("psycopg")
        stage.elsewhere = request.getfixturevalue("postgres_url")
        monkeypatch.chdir(tmp_path)
    return stage


async def told(stage, orchestrator, **who):
    """What a task is answered, and whether by the memo."""
    output = (await stage.ask(orchestrator, **who)).output
    return output["answer"], output["from_memo"]


def bound_of(stage):
    """The worst case of a call, in nano-dollars."""
    with stage.reader() as reader:
        ((bound,),) = reader._query("SELECT DISTINCT reserve FROM attempts WHERE kind = 'ask'", ())
    return bound


async def renewed(stage, times, kind="refresh"):
    """Wait until ``times`` renewals have ended."""
    end = time.monotonic() + 10
    while True:
        tasks = [row.task_id for row in stage.rows() if row.kind == kind and row.end is not None]
        with stage.reader() as reader:
            if [reader.task(one).status for one in tasks].count("completed") == times:
                return
        assert time.monotonic() < end, "it was not asked anew"
        await asyncio.sleep(0.02)


class Held:
    """Answers at once, but holds back what is asked anew until :attr:`go` is set."""

    def __init__(self):
        self.asked = 0
        self.go = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    async def ask(self, _request, *, on_text=None):
        self.asked += 1
        if self.asked > 1:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.go.wait(), self.loop))
        return Completion(text=f"answer {self.asked}", finish_reason="stop")


async def test_a_stale_answer_is_asked_anew_once_and_nobody_waits_for_it(stage):
    clock, client = Later(), Held()
    async with stage.orchestrator(f"{UPKEEP}\n{STEPS}", client=client, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
        clock.hours = 2
        for _ in range(3):  # while the renewal stands on the wire
            assert await told(stage, orchestrator) == ("answer 1", True)
        client.go.set()
        await renewed(stage, 1)
        assert await told(stage, orchestrator) == ("answer 2", True)
    assert client.asked == 2


async def test_a_renewal_is_paid_as_an_attempt_of_its_own_kind_by_no_task_that_was_answered(
    stage, invoked
):
    clock = Later()
    policy = f"{UPKEEP}\nbudgets: {{user: {{limit: 1 USD}}}}\n{STEPS}"
    async with stage.orchestrator(policy, clock=clock) as orchestrator:
        await stage.ask(orchestrator, user="alice")
        clock.hours = 2
        hit = await stage.ask(orchestrator, user="alice")
        await renewed(stage, 1)
        assert (hit.cost.total, hit.attempts) == (Money.ZERO, ())
    first, second, third = stage.rows()
    assert [first.kind, second.kind, third.kind] == ["ask", "memo", "refresh"]
    assert (third.cost, third.certainty, third.user, third.agent) == (
        stage.price,
        "known",
        "alice",
        "a",
    )
    assert third.task_id not in {first.task_id, second.task_id}
    with stage.reader() as reader:
        keys = "SELECT key, settled FROM accounts ORDER BY key"
        spent = {key.split("|")[0]: settled for key, settled in reader._query(keys, ())}
        task = reader.task(third.task_id)
    assert spent["upkeep"] == stage.price.nano
    assert spent["user"] == 2 * stage.price.nano
    assert (task.status, dict(task.opening.scope.tags)) == ("completed", {"upkeep": "refresh"})
    (saved,) = savings_by_step(stage.store)
    assert (saved.refreshed, saved.upkeep, saved.reruns) == (1, stage.price, 0)
    shown = await invoked(CliRunner().invoke, app, ["memo", "stats", "--store", stage.store])
    assert "1 stale entries asked anew; this cost $0.00002" in shown.output


@pytest.mark.parametrize(
    "policy",
    [
        STEPS,  # no budget of its own
        f"memo: {{upkeep: {{limit: 0.000005 USD, per: day}}}}\n{STEPS}",  # it pays for no call
    ],
)
async def test_without_money_of_its_own_a_stale_answer_is_only_served(stage, policy):
    clock = Later()
    models = "models: {small: {model: openai/small, max_output_tokens: 1, price: "
    models += "{input: 1, output: 1}}}"
    async with stage.orchestrator(policy, clock=clock, models=models) as orchestrator:
        await stage.ask(orchestrator)
        clock.hours = 2
        for _ in range(3):
            assert (await stage.ask(orchestrator)).output["from_memo"]
        await asyncio.sleep(0.3)
    assert [row.kind for row in stage.rows()] == ["ask", "memo", "memo", "memo"]


async def test_a_renewal_leaves_the_last_of_every_budget_to_who_needs_an_answer(stage):
    clock = Later()
    async with stage.orchestrator(STEPS, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
    bound = bound_of(stage)
    for part, times in [(100, 0), (130, 1)]:  # what is left, in per cent of one more call
        limit = Money(stage.price.nano + bound * part // 100).usd
        policy = f"{UPKEEP}\nbudgets: {{team: {{limit: {limit:f} USD}}}}\n{STEPS}"
        clock.hours = 2
        async with stage.orchestrator(policy, clock=clock) as orchestrator:
            assert (await stage.ask(orchestrator)).output["from_memo"]
            await asyncio.sleep(0.3)
        assert [row.kind for row in stage.rows()].count("refresh") == times


async def test_the_upkeep_budget_is_counted_in_the_ledger_not_in_the_process(stage):
    clock = Later()
    async with stage.orchestrator(STEPS, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
    limit = Money(bound_of(stage) + stage.price.nano).usd  # two calls
    policy = f"memo: {{upkeep: {{limit: {limit:f} USD}}}}\n{STEPS}"
    for life in range(1, 5):
        clock.hours = 2 * life
        async with stage.orchestrator(policy, clock=clock) as orchestrator:
            assert (await stage.ask(orchestrator)).output["from_memo"]
            if life <= 2:
                await renewed(stage, life)
    assert [row.kind for row in stage.rows()].count("refresh") == 2


async def test_closing_ends_a_renewal_and_books_what_was_on_the_wire(stage):
    clock, client = Later(), Held()
    async with stage.orchestrator(f"{UPKEEP}\n{STEPS}", client=client, clock=clock) as orchestrator:
        await stage.ask(orchestrator)
        clock.hours = 2
        await stage.ask(orchestrator)
        while client.asked < 2:
            await asyncio.sleep(0.01)
        closing = time.monotonic()
    assert time.monotonic() - closing < 5
    *_, last = stage.rows()
    assert (last.kind, last.end, last.certainty) == ("refresh", "settled", "estimated")
    with stage.reader() as reader:
        assert reader.task(last.task_id).status == "failed"
    async with stage.orchestrator(f"{UPKEEP}\n{STEPS}", clock=clock) as orchestrator:
        assert (await stage.ask(orchestrator)).output[
            "answer"
        ] == "answer 1"  # and may be asked anew


async def test_a_renewal_that_fails_rests_and_the_stale_answer_stays(stage):
    clock, texts = Later(), ["ok"]

    def script(_request):
        text = texts.pop() if texts else ""
        return Completion(text=text, finish_reason="stop" if text else "length")

    policy = f"{UPKEEP}\n{STEPS.replace('models', 'below_threshold: halt, models')}"
    async with stage.orchestrator(policy, clock=clock, script=script) as orchestrator:
        await stage.ask(orchestrator)
        clock.hours = 2
        for _ in range(5):
            assert (await stage.ask(orchestrator)).output["answer"] == "ok"
            await asyncio.sleep(0.1)
    assert [row.kind for row in stage.rows()].count("refresh") == 1


async def test_a_sample_of_fresh_answers_measures_how_many_no_longer_hold(stage, invoked):
    texts = iter(["first", '{"a": 1}', '{"a":  1}', "other  words", "other words"])

    def script(_request):
        return Completion(text=next(texts), finish_reason="stop")

    policy = f"memo: {{sample: 1, upkeep: {{limit: 1 USD, per: day}}}}\n{STEPS}"
    async with stage.orchestrator(policy, script=script) as orchestrator:
        await stage.ask(orchestrator)
        for number, answer in enumerate(["first", '{"a": 1}', '{"a": 1}', "other  words"]):
            assert await told(stage, orchestrator) == (answer, True)
            await renewed(stage, number + 1, "rerun")
    (saved,) = savings_by_step(stage.store)
    assert (saved.reruns, saved.reruns_changed, saved.stale_rate) == (4, 2, 0.5)
    shown = await invoked(CliRunner().invoke, app, ["memo", "stats", "--store", stage.store])
    assert "of 4 sampled hits 50% had changed" in shown.output
    assert saved.upkeep.nano == 4 * bound_of(stage)  # this script tells no usage


async def test_what_a_function_of_the_nodes_checks_is_not_asked_anew_without_the_node(stage):
    clock = Later()
    async with stage.orchestrator(f"{UPKEEP}\n{STEPS}", clock=clock) as orchestrator:
        checked = stage.asking(check=lambda _reply: True)
        await stage.ask(orchestrator, graph=checked)
        clock.hours = 2
        assert (await stage.ask(orchestrator, graph=checked)).output["from_memo"]
        await asyncio.sleep(0.2)
    assert [row.kind for row in stage.rows()] == ["ask", "memo"]
