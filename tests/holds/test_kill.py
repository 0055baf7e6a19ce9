"""``kill -9`` at any point: what settled is not asked again, what was in flight is in doubt."""

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from orchestrator import Fenced
from orchestrator.testing.upstream.faults import Fault

KILLS = 50
AT_ONCE = 4


def next_orders(ground, names) -> list[dict]:
    """What is not completed goes on, and new tasks join, so that some are always under way."""
    known = dict(ground.rows("SELECT task_id, status FROM tasks")) if ground.path.exists() else {}
    open_tasks = [{"task_id": one, "resume": True} for one in known if known[one] != "completed"]
    fresh = [{"task_id": one} for one in names if one not in known]
    return (open_tasks + fresh)[:AT_ONCE]


async def asked(ground, count: int) -> None:
    """Until the upstream was asked so often."""
    while len(ground.upstream.log) < count:
        await asyncio.sleep(0.001)


async def test_fifty_kills_at_random_points_pay_nothing_twice(ground, lives, record_property):
    seed = int(os.environ.get("KILL_SEED", random.randrange(10**6)))
    record_property("seed", seed)
    print(f"KILL_SEED={seed}")
    rng = random.Random(seed)
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.01))
    names = [f"t{number}" for number in range(150)]
    in_flight: set[str] = set()
    async with ground.orchestrator():
        pass  # the ledger is there before the first life
    for _ in range(KILLS):
        pid = await lives.begin(ground.order(next_orders(ground, names), graph="plans:twelve_steps"))
        await asyncio.wait([asyncio.create_task(asked(ground, len(ground.upstream.log) + rng.randrange(25)))], timeout=2)
        await asyncio.sleep(rng.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        await lives.rest()
        held = {one for (one,) in ground.rows("SELECT attempt_id FROM holds")}
        assert len(held - in_flight) <= AT_ONCE
        in_flight |= held
    touched = [name for (name,) in ground.rows("SELECT task_id FROM tasks")]
    while orders := [one for one in next_orders(ground, touched) if one.get("resume")]:
        await lives.live(ground.order(orders, graph="plans:twelve_steps"))

    said = ground.rows("SELECT status, count(*) FROM tasks GROUP BY status")
    assert said == [("completed", len(touched))]
    spendings = ground.spendings()
    place = {one.attempt_id: f"<{one.task_id}.{one.step.removeprefix('s')}>" for one in spendings}
    settled = Counter(place[one.attempt_id] for one in spendings if one.end == "settled")
    in_doubt = Counter(place[one.attempt_id] for one in spendings if one.end == "expired")
    every_step = {f"<{name}.{number}>" for name in touched for number in range(12)}
    assert settled == dict.fromkeys(every_step, 1), "each step was paid once for sure"
    assert in_doubt.total() == len(in_flight)
    assert {one.certainty for one in spendings if one.end == "expired"} <= {"unknown"}

    requests = ground.requests()
    extra = requests - Counter(every_step)
    assert requests.keys() == every_step
    assert extra <= in_doubt, "whatever was asked twice is in doubt"
    assert extra, "no kill hit a request: nothing was shown"
    known = sum(one.cost.nano for one in spendings if one.certainty == "known")
    assert known == len(every_step) * 20_000
    assert known <= ground.upstream.billed.nano <= ground.ledger_total().nano
    print(len(touched), "tasks", len(in_flight), "in doubt", extra.total(), "extra")
