"""Attempts wait for their lane and their provider, in turn, and no longer than their task may."""

import asyncio
import operator
import threading
import time
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from orchestrator import step, tool_cost
from orchestrator.core.events import TaskHalted
from orchestrator.core.usage import Usage
from orchestrator.models.protocol import Completion, ModelCallError, ModelRequest
from orchestrator.models.rates import Allowance, RateReport
from orchestrator.models.scripted import question
from orchestrator.models.settings import ModelSettings
from orchestrator.routing.admission import LaneFull, LaneSettings
from orchestrator.runtime.shared.admitting import Admitting
from orchestrator.testing.fake_clock import FakeClock

ONE = """
models: {small: {model: openai/small, max_output_tokens: 10, price: {input: 1, output: 1}}}
"""
LANES = "lanes: {heavy: {concurrency: 2, queue: %s}}\nsteps: {plan: {lane: heavy}, see: {}}"


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def fan_out(asks):
    """A graph that asks all of ``asks``, each a step and a question, side by side."""

    async def ask(state):
        return {"said": [(await step(state["step"]).ask(state["text"])).text]}

    graph = StateGraph(State).add_node("ask", ask)
    sends = [Send("ask", {"step": name, "text": text}) for name, text in asks]
    return graph.add_conditional_edges(START, lambda _: sends)


class Busy:
    """Answers when it is told to, and notes how many were asked at once."""

    def __init__(self, until=lambda asked: True):
        self.until, self.now, self.most, self.asked = until, {}, {}, []

    async def open(self):
        """Nothing to load."""

    async def aclose(self):
        """Nothing to close."""

    async def ask(self, request, *, on_text=None):
        name = question(request.messages).split()[0]
        self.asked.append(question(request.messages))
        self.now[name] = self.now.get(name, 0) + 1
        self.most[name] = max(self.most.get(name, 0), self.now[name])
        try:
            while not self.until(self.asked):
                await asyncio.sleep(0.002)
        finally:
            self.now[name] -= 1
        return Completion(text="ok", finish_reason="stop", usage=Usage(9, 1), served_model="m")


async def test_planning_waits_for_planning_and_perception_for_nothing(stage):
    asks = [("plan", f"plan {n}") for n in range(8)] + [("see", f"see {n}") for n in range(8)]
    model = Busy(lambda asked: sum(one.startswith("see") for one in asked) == 8 and len(asked) > 9)
    async with stage.orchestrator(LANES % 100, client=model, models=ONE) as orchestrator:
        result = await orchestrator.run(fan_out(asks), {"said": []}, agent="x")

    assert len(result.output["said"]) == 16
    assert model.most["plan"] == 2
    assert model.most["see"] == 8


async def test_a_full_lane_halts_whom_it_has_no_place_for_and_a_resume_goes_on(stage):
    asks = [("plan", f"plan {n}") for n in range(6)]
    refused = threading.Event()
    model = Busy(lambda _: refused.is_set())
    async with stage.orchestrator(LANES % 1, client=model, models=ONE) as orchestrator:
        running = asyncio.create_task(
            orchestrator.run(fan_out(asks), {"said": []}, agent="x", task_id="t")
        )
        while not any(isinstance(one, TaskHalted) for one in stage.events):
            await asyncio.sleep(0.002)
        refused.set()
        result = await running
        assert (result.status, result.halt.reason, result.halt.step) == (
            "halted",
            "no_model",
            "plan",
        )
        assert "Lane 'heavy' is full: 2 under way and 1 waiting" in result.halt.detail
        while result.status == "halted":
            result = await orchestrator.resume("t")

    assert result.output["said"] == ["ok"] * 6
    assert sorted(model.asked) == sorted(text for _, text in asks)
    assert all(one.certainty == "known" for one in result.attempts)


async def test_waiting_for_a_lane_counts_against_the_tasks_time(stage):
    asks = [("plan", f"plan {n}") for n in range(3)]
    policy = f"limits: {{timeout: 400ms}}\n{LANES % 9}"
    async with stage.orchestrator(policy, client=Busy(lambda _: False), models=ONE) as orchestrator:
        before = time.monotonic()
        result = await orchestrator.run(fan_out(asks), {"said": []}, agent="x")

    assert (result.status, result.halt.reason) == ("halted", "timeout")
    assert len(result.attempts) <= 2  # the third one never left
    assert time.monotonic() - before < 30


async def test_a_task_that_halts_leaves_the_queue_to_others(stage):
    slow = [("plan", f"plan {n}") for n in range(2)]
    over = threading.Event()
    model = Busy(lambda _: over.is_set())
    async with stage.orchestrator(LANES % 9, client=model, models=ONE) as orchestrator:
        ahead = asyncio.create_task(orchestrator.run(fan_out(slow), {"said": []}, agent="x"))
        while len(model.asked) < 2:
            await asyncio.sleep(0.01)
        waits = asyncio.create_task(
            orchestrator.run(fan_out([("plan", "never")]), {"said": []}, agent="x", task_id="w")
        )
        while not orchestrator._services.admitting._admission.waiting("heavy"):
            await asyncio.sleep(0.01)
        await orchestrator.pause("w")
        paused = await waits
        assert orchestrator._services.admitting._admission.waiting("heavy") == 0
        over.set()
        await ahead

    assert (paused.status, paused.halt.reason, paused.attempts) == ("halted", "paused", ())
    assert "never" not in model.asked


async def test_a_tool_that_asks_in_a_lane_does_not_wait_for_who_waits_for_its_money(stage):
    has_begun = asyncio.Event()

    @tool_cost("0.01 USD")
    async def search(query):
        has_begun.set()
        lane = orchestrator._services.admitting._admission._lanes["heavy"]
        while not lane.under_way:
            await asyncio.sleep(0.01)
        return (await step("plan").ask("inside")).text

    async def both(state):
        async def beside():
            await has_begun.wait()
            return (await step("plan").ask("beside")).text

        return {"said": await asyncio.gather(search("it"), beside())}

    # Beside what the tool holds, the ask does not fit: it waits, and has the lane's only place.
    policy = f"budgets: {{task: {{limit: 0.01001 USD}}}}\nlimits: {{timeout: 20s}}\n{LANES % 9}"
    policy = policy.replace("concurrency: 2", "concurrency: 1")
    graph = StateGraph(State).add_node("both", both).add_edge(START, "both")
    async with stage.orchestrator(policy, models=ONE) as orchestrator:
        result = await orchestrator.run(graph, {"said": []}, agent="x")

    assert (result.status, result.halt.reason) == ("halted", "budget")


async def test_what_matters_more_goes_first(stage):
    all_there = threading.Event()
    model = Busy(lambda _: all_there.is_set())
    policy = LANES.replace("concurrency: 2", "concurrency: 1") % 9
    async with stage.orchestrator(policy, client=model, models=ONE) as orchestrator:
        waiting = orchestrator._services.admitting._admission.waiting
        tasks = []
        for number, priority in enumerate(["normal", "low", "normal", "high"]):
            graph = fan_out([("plan", f"{priority} {number}")])
            running = orchestrator.run(graph, {"said": []}, agent="x", priority=priority)
            tasks.append(asyncio.create_task(running))
            while not (len(model.asked) + waiting("heavy") > number):
                await asyncio.sleep(0.001)
        all_there.set()
        await asyncio.gather(*tasks)

    assert model.asked == ["normal 0", "high 3", "normal 2", "low 1"]


async def test_requests_leave_at_the_rate_of_their_model(stage):
    """On the fake clock, where waiting is what makes time pass."""
    clock = FakeClock()
    left = []

    def script(request):
        left.append(clock.monotonic())
        return Completion(text="ok", finish_reason="stop", usage=Usage(9, 1), served_model="m")

    models = ONE.replace("price:", "rate: {requests: 2/min}, price:")
    asks = [("see", f"see {n}") for n in range(5)]
    async with stage.orchestrator(script=script, models=models, clock=clock) as orchestrator:
        result = await orchestrator.run(fan_out(asks), {"said": []}, agent="x")

    assert result.status == "completed"
    assert all(nth <= 2 + at / 30 + 1e-6 for nth, at in enumerate(left, start=1))
    assert left[-1] == pytest.approx(90)


async def test_a_429_holds_everybody_back_for_as_long_as_it_says(stage):
    clock = FakeClock()
    left = []

    def script(request):
        left.append(clock.monotonic())
        if len(left) == 1:
            return ModelCallError("rate_limited", "slow down", status=429, retry_after_s=40)
        return Completion(text="ok", finish_reason="stop", usage=Usage(9, 1), served_model="m")

    async with stage.orchestrator(script=script, models=ONE, clock=clock) as orchestrator:
        admitting = orchestrator._services.admitting
        result = await orchestrator.run(fan_out([("see", "a")]), {"said": []}, agent="x")

    assert result.status == "completed"
    (endpoint,) = admitting._admission.meters
    assert admitting._admission.meters[endpoint].paused_until == pytest.approx(40)
    assert left[1] >= 40


async def test_what_an_answer_says_is_left_holds_back_the_next(stage):
    clock = FakeClock()
    left = []

    def script(request):
        left.append(clock.monotonic())
        rates = RateReport(requests=Allowance(limit=10, remaining=0, reset_s=100))
        return Completion(text="ok", finish_reason="stop", usage=Usage(9, 1), rates=rates)

    async def twice(state):
        await step("see").ask("a")
        return {"said": [(await step("see").ask("b")).text]}

    graph = StateGraph(State).add_node("n", twice).set_entry_point("n")
    async with stage.orchestrator(script=script, models=ONE, clock=clock) as orchestrator:
        await orchestrator.run(graph, {"said": []}, agent="x")

    # A tenth of what is missing comes back in a tenth of the time.
    assert left[1] - left[0] == pytest.approx(10, abs=1e-3)


def request_of(name="small"):
    settings = ModelSettings(name=name, model=f"openai/{name}", max_output_tokens=10)
    return ModelRequest(settings=settings, messages=[{"role": "user", "content": "hello"}])


async def test_who_is_cancelled_while_waiting_is_forgotten():
    admitting = Admitting(FakeClock(), {"heavy": LaneSettings(concurrency=1, queue=1)}, {})
    place = {"lane": "heavy", "tenant": "t", "priority": "normal"}
    first = await admitting.enter(request_of(), **place)
    waiting = asyncio.create_task(admitting.enter(request_of(), **place))
    await asyncio.sleep(0)
    with pytest.raises(LaneFull):
        await admitting.enter(request_of(), **place)

    waiting.cancel()
    await asyncio.wait([waiting])
    third = asyncio.create_task(admitting.enter(request_of(), **place))
    await asyncio.sleep(0)
    admitting.leave(first, "e", None)

    assert (await third).admitted


async def test_what_nothing_limits_needs_no_place():
    admitting = Admitting(FakeClock(), {}, {})
    assert await admitting.enter(request_of(), lane=None, tenant="t", priority="low") is None
