"""What one process leaves behind, another goes on with."""

import json


async def test_a_plan_halted_in_the_middle_ends_elsewhere_as_if_never_halted(ground, lives, plans):
    async with ground.orchestrator() as orchestrator:
        whole = await orchestrator.run("plans:ten_steps", {"name": "t0", "said": []}, agent="a")
    assert whole.status == "completed"
    asked_by_one = ground.requests()
    assert len(whole.output["said"]) == 10
    ground.upstream.log.clear()

    limit = ground.bound() + whole.attempts[0].cost * 5
    budget = f"budgets: {{task: {{limit: {limit.usd} USD}}}}"
    async with ground.orchestrator(budget) as orchestrator:
        given = {"name": "t0", "said": []}
        halted = await orchestrator.run("plans:ten_steps", given, agent="a", task_id="t0")
    assert (halted.status, halted.halt.reason, halted.halt.scope) == ("halted", "budget", "task")
    assert 0 < len(halted.partial["said"]) < 10
    assert len(ground.upstream.log) == len(halted.partial["said"])

    again = {"task_id": "t0", "resume": True, "add_budget": "1"}
    (ended,) = await lives.live(ground.order([again], budget))
    assert ended["status"] == "completed"
    assert ended["output"] == json.loads(json.dumps(whole.output))
    assert ground.requests() == asked_by_one, "each step once, the same questions"
    assert set(asked_by_one.values()) == {1}
    assert ended["attempts"] == [[f"s{number}", "known"] for number in range(10)]
    assert ended["cost"] == whole.cost.total.nano == ground.upstream.billed.nano
