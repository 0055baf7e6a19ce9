"""The database restarts under whole tasks: they wait, go on, and pay nothing twice."""

import asyncio
from collections import Counter

import pytest

from orchestrator.testing.upstream.faults import Fault

STEPS = 12
NAMES = ["t0", "t1"]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_tasks_go_on_when_their_database_restarts(
    ground, plans, start_postgres, restart_postgres, mode
):
    pytest.importorskip("psycopg")
    server = start_postgres()
    ground.url = server.get_uri()
    ground.upstream.add_faults(Fault(kind="slow", delay_s=0.05))
    async with ground.orchestrator() as orchestrator:
        running = [
            asyncio.create_task(
                orchestrator.run(
                    plans.twelve_steps(), {"name": name, "said": []}, agent="a", task_id=name
                )
            )
            for name in NAMES
        ]
        for asked in (3, 10):
            while len(ground.upstream.log) < asked:
                await asyncio.sleep(0.005)
            assert not any(one.done() for one in running)
            await asyncio.to_thread(restart_postgres, server, mode)
        results = await asyncio.wait_for(asyncio.gather(*running), 120)
        sound = await orchestrator._services.ledger.verify()

    assert [one.status for one in results] == ["completed"] * len(NAMES)
    assert [len(one.output["said"]) for one in results] == [STEPS] * len(NAMES)
    assert sound.is_sound, sound
    assert ground.requests() == Counter(
        f"<{name}.{number}>" for name in NAMES for number in range(STEPS)
    )
    assert {one.certainty for one in ground.spendings() if one.end == "settled"} == {"known"}
    assert ground.ledger_total() == ground.upstream.billed
