"""``kill -9`` at any point: what settled is not asked again, what was in flight is in doubt."""

import asyncio
import logging
import os
import random
import signal
import sqlite3
from collections import Counter
from contextlib import suppress

import pytest

from orchestrator import Fenced
from orchestrator.testing.upstream.faults import Fault

LOG = logging.getLogger(__name__)
TEXT = "An answer that is long enough to come in several pieces when it is streamed."
KILLS = (
    {"sqlite": 500, "postgres": 500}
    if os.environ.get("TORTURE")
    else {"sqlite": 50, "postgres": 15}
)
STEPS = 12
AT_ONCE = 4
PLAN = "plans:twelve_steps"


def unfinished(ground) -> list[dict]:
    """Orders for what the dead left behind, and for new tasks, so that no life has too little."""
    known = dict(ground.rows("SELECT task_id, status FROM task_records"))
    done = dict(
        ground.rows(
            "SELECT task_id, count(*) FROM attempt_records"
            " WHERE \"end\" = 'settled' GROUP BY task_id"
        )
    )
    orders = [{"task_id": one, "resume": True} for one in known if known[one] != "completed"]
    left = sum(STEPS - done.get(one["task_id"], 0) for one in orders)
    fresh = (one for one in (f"t{number}" for number in range(1000)) if one not in known)
    while len(orders) < AT_ONCE or left < AT_ONCE * STEPS:
        orders.append({"task_id": next(fresh)})
        left += STEPS
    return orders


async def more_requests(ground, count: int) -> None:
    """Until the upstream was asked ``count`` times more."""
    count += len(ground.upstream.log)
    while len(ground.upstream.log) < count:
        await asyncio.sleep(0.001)


@pytest.mark.torture
async def test_kills_at_random_points_pay_nothing_twice(any_ground, lives, record_property):
    ground = any_ground
    backend = "postgres" if ground.url else "sqlite"
    seed = int(os.environ.get("KILL_SEED", random.randrange(10**6)))
    LOG.warning("repeat this with KILL_SEED=%d", seed)
    rng = random.Random(seed)
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.01))
    async with ground.orchestrator():
        pass  # the ledger is there before the first life
    in_flight: set[str] = set()
    for _ in range(KILLS[backend]):
        orders = unfinished(ground)
        pid = await lives.begin(ground.order(orders, graph=PLAN))
        await asyncio.wait_for(more_requests(ground, rng.randrange(STEPS)), 30)
        await asyncio.sleep(rng.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        await lives.rest()
        held = ground.in_flight()
        assert len(held) <= len(orders), "one request at a time and task"
        in_flight |= held
    touched = [one["task_id"] for one in unfinished(ground) if one.get("resume")]
    again = [{"task_id": one, "resume": True} for one in touched]
    ended = await lives.live(ground.order(again, graph=PLAN))
    assert {one["status"] for one in ended} == {"completed"}

    names = [name for (name,) in ground.rows("SELECT task_id FROM task_records")]
    every_step = Counter(f"<{name}.{number}>" for name in names for number in range(STEPS))
    ends = {"settled": Counter(), "expired": Counter()}
    for one in ground.spendings():
        ends[one.end][f"<{one.task_id}.{one.step.removeprefix('s')}>"] += 1
        assert one.certainty == ("known" if one.end == "settled" else "unknown")
    assert ends["settled"] == every_step, "each step was paid once for sure"
    assert ends["expired"].total() == len(in_flight), "whatever was in flight is in doubt"

    extra = ground.requests() - every_step
    record_property(
        f"random kills on {backend}",
        f"{KILLS[backend]} kills, {every_step.total()} steps paid once, {extra.total()} asked again"
        f" of {len(in_flight)} in flight, all of them listed in doubt",
    )
    assert ground.requests().keys() == every_step.keys()
    assert extra <= ends["expired"], "whatever was asked twice is in doubt"
    assert extra, "no kill hit a request: nothing was shown"
    known = sum(one.cost.nano for one in ground.spendings() if one.certainty == "known")
    assert known == every_step.total() * 20_000
    assert known < ground.upstream.billed.nano <= ground.ledger_total().nano


def settled(ground) -> list:
    return [one for one in ground.spendings() if one.end == "settled"]


async def test_a_graph_of_any_shape_killed_at_each_request_finds_its_replies_again(ground, lives):
    """A crash leaves no checkpoint of what ran: only the journal can tell what was paid."""
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.02))
    asks = {f"<t0.{number}>": 2 if number > 6 else 1 for number in range(12)}
    order = {"task_id": "t0"}
    in_flight: set[str] = set()
    for _ in range(5):
        pid = await lives.begin(ground.order([order], graph="plans:bushy"))
        paid = len(settled(ground)) + 2
        while len(settled(ground)) < min(paid, sum(asks.values())):
            await asyncio.sleep(0.005)
        with suppress(ProcessLookupError):  # on a busy machine it may have ended before
            os.kill(pid, signal.SIGKILL)
        await lives.rest()
        held = ground.in_flight()
        in_flight |= held
        order = {"task_id": "t0", "resume": True}
    (ended,) = await lives.live(ground.order([order], graph="plans:bushy"))
    assert ended["status"] == "completed"
    assert len(ended["output"]["said"]) == sum(asks.values()) - 1
    assert len(settled(ground)) == sum(asks.values()), "each ask was paid once for sure"
    assert len(ground.spendings()) == sum(asks.values()) + len(in_flight)
    assert len(ground.upstream.log) - sum(asks.values()) <= len(in_flight)
    ((lives_that_paid,),) = ground.rows(
        "SELECT count(DISTINCT epoch) FROM attempt_records WHERE \"end\" = 'settled'"
    )
    assert lives_that_paid > 2, "replies of several lives came together"


def everything(ground) -> list[str]:
    """All that lies in the ledger and in the checkpoints."""
    lines: list[str] = []
    for file in (ground.path, ground.path.with_name("checkpoints.db")):
        with sqlite3.connect(file) as db:
            lines += db.iterdump()
        db.close()
    return lines


async def test_an_owner_that_slept_through_its_takeover_is_fenced(ground, lives, plans):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))
    await lives.begin(ground.order([{"task_id": "t0"}], graph=PLAN))
    await asyncio.wait_for(more_requests(ground, 4), 30)
    await lives.put_to_sleep(ground.path, ground.path.with_name("checkpoints.db"))
    asked = len(ground.upstream.log)
    async with ground.orchestrator() as orchestrator:
        result = await orchestrator.resume("t0")
    assert result.status == "completed"
    assert result.output["said"] == [f"{number}: {TEXT}" for number in range(STEPS)]
    doubts = [one.step for one in result.attempts if one.certainty == "unknown"]
    assert len(doubts) == 1, "what the old owner has on the wire"
    assert len(ground.upstream.log) - asked == STEPS - asked + 1
    before = everything(ground)
    lives.wake()
    (ended,) = await lives.rest()
    assert ended["status"] == "fenced"
    assert len(ground.upstream.log) == STEPS + 1, "it spends nothing more"
    assert everything(ground) == before, "and writes nothing more"


@pytest.mark.parametrize("then", ["asks", "only returns"])
async def test_an_owner_with_nothing_on_the_wire_is_fenced_when_it_goes_on(
    ground, lives, plans, then
):
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def waits_at_the_fourth(number: int) -> None:
        if number == 3:
            reached.set()
            await go_on.wait()

    graph = plans.plan_of(STEPS, waits_at_the_fourth)
    if then == "only returns":
        graph = plans.plan_of(3)

        async def rests(state: plans.Trail) -> plans.Trail:
            await waits_at_the_fourth(3)
            return {"said": ["what the old owner says"]}

        graph.add_node("n3", rests).add_edge("n2", "n3")
    async with ground.orchestrator() as orchestrator:
        given = {"name": "t0", "said": []}
        running = asyncio.create_task(orchestrator.run(graph, given, agent="a", task_id="t0"))
        await asyncio.wait_for(reached.wait(), 30)
        again = {"task_id": "t0", "resume": True, "graph": PLAN}
        ground.upstream.add_faults(Fault(kind="slow", delay_s=0.1))
        await lives.begin(ground.order([again]))
        await more_requests(ground, 2)
        if then == "asks":  # while the new owner is at work
            go_on.set()
            with pytest.raises(Fenced):
                await running
        (ended,) = await lives.rest()
        assert ended["status"] == "completed"
        if then == "only returns":
            before = everything(ground)
            go_on.set()
            with pytest.raises(Fenced):
                await running
            assert everything(ground) == before, "it writes nothing more"
    assert len(ground.upstream.log) == STEPS, "it spends nothing more"
    assert ground.requests() == {f"<t0.{number}>": 1 for number in range(STEPS)}


async def test_an_owner_that_runs_while_another_takes_over_is_fenced(ground, lives, plans):
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.05))
    async with ground.orchestrator() as orchestrator:
        given = {"name": "t0", "said": []}
        running = asyncio.create_task(orchestrator.run(PLAN, given, agent="a", task_id="t0"))
        await asyncio.wait_for(more_requests(ground, 4), 30)
        again = ground.order([{"task_id": "t0", "resume": True}], graph=PLAN)
        (ended,) = await lives.live(again)
        with pytest.raises(Fenced):
            await running
    assert ended["status"] == "completed"
    assert len(ended["output"]["said"]) == STEPS
    extra = len(ground.upstream.log) - STEPS
    assert extra == [one[1] for one in ended["attempts"]].count("unknown") <= 1
    assert ground.rows("SELECT status, epoch FROM task_records") == [("completed", 2)]
