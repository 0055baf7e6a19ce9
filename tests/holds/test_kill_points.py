"""``kill -9`` at each point where something could be half done, and LangGraph's race."""

import os
import runpy
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.testing.upstream.faults import Fault

POINTS = runpy.run_path(str(Path(__file__).with_name("deaths.py")))["POINTS"]
LONG = bool(os.environ.get("TORTURE"))
GRAPH = "plans:traced_steps"
STEPS = 6
TASKS = 3 if LONG else 2
WHEN = [1, 2, 3, 4] if LONG else [2]
RACES = 100 if LONG else 3


async def end_all(ground, lives, names):
    """Resume, or begin, until all are completed."""
    known = dict(ground.rows("SELECT task_id, status FROM task_records"))
    again = [{"task_id": one, "resume": one in known} for one in names]
    ended = await lives.live(ground.order(again, graph=GRAPH))
    assert {one["status"] for one in ended} == {"completed"}
    return ended


def see_that_nothing_was_paid_twice(ground, names, steps):
    """Each step settled once; whatever was asked again is in doubt, and listed. How many were."""
    every_step = Counter(f"<{name}.{number}>" for name in names for number in range(steps))
    ends = {"settled": Counter(), "expired": Counter(), "released": Counter()}
    for one in ground.spendings():
        ends[one.end][f"<{one.task_id}.{one.step.removeprefix('s')}>"] += 1
    assert ends["settled"] == every_step
    assert ends["released"].total() == 0
    assert ground.requests() - every_step <= ends["expired"]
    assert every_step <= ground.requests()
    return ends["expired"].total()


@pytest.mark.torture
@pytest.mark.parametrize("point", POINTS)
async def test_a_death_at_each_point_pays_nothing_twice(any_ground, lives, point, record_property):
    ground = any_ground
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.002))
    async with ground.orchestrator():
        pass
    deaths_met = doubts = 0
    for when in WHEN:
        names = [f"t{when * TASKS + number}" for number in range(TASKS)]
        fresh = [{"task_id": one} for one in names]
        order = ground.order(fresh, graph=GRAPH)
        if "the opening" in point or "the closing" in point:
            order["die"] = [point, 1]  # they may all be in one commit
        else:
            order["die"] = [point, when]
        await lives.begin(order)
        said = await lives.rest()
        deaths_met += len(said) < TASKS
        await end_all(ground, lives, names)
    every_name = [one for (one,) in ground.rows("SELECT task_id FROM task_records")]
    doubts = see_that_nothing_was_paid_twice(ground, every_name, STEPS)

    assert deaths_met == len(WHEN), "it was reached"
    assert doubts <= len(WHEN) * TASKS, "at most what was in flight"
    backend = "PostgreSQL" if ground.url else "SQLite"
    record_property(f"killed {point} on {backend}", f"{deaths_met} kills, {doubts} in doubt")


@pytest.mark.torture
@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_finished_node_that_is_executed_again_asks_nothing_again(
    ground, lives, tmp_path, durability, record_property
):
    """It dies after a node has finished, and before LangGraph has noted that."""
    policy = f"durability: {durability}"
    async with ground.orchestrator(policy):
        pass
    executed_again = 0
    names = [f"t{number}" for number in range(RACES)]
    for number, name in enumerate(names):
        trace = tmp_path / f"{name}.trace"
        order = ground.order([{"task_id": name}], policy, graph=GRAPH)
        order["trace"] = str(trace)
        await lives.begin({**order, "die": ["before the writes", 2 + number % STEPS]})
        await lives.rest()
        again = ground.order([{"task_id": name, "resume": True}], policy, graph=GRAPH)
        (ended,) = await lives.live({**again, "trace": str(trace)})
        assert ended["status"] == "completed"
        executed_again += len(trace.read_text().split()) - STEPS
    see_that_nothing_was_paid_twice(ground, names, STEPS)
    settled_again = {one: count for one, count in ground.requests().items() if count > 1}

    assert executed_again >= RACES, "each time a finished node was executed again"
    if durability == "sync":
        assert settled_again == {}, "nothing was on the wire"
    record_property(
        f"finished nodes executed again ({durability})",
        f"{RACES} forced runs, {executed_again} executions again, 0 second calls",
    )
