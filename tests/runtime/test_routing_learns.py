"""What feedback teaches: who is asked, what confidence is worth, and whom it concerns."""

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from orchestrator import step
from orchestrator.core.errors import TaskNotFound
from orchestrator.core.events import ThresholdUnreached

POLICY = "steps: {s: {confidence: 0.8}}"


class State(TypedDict, total=False):
    question: str
    said: str
    model: str
    confidence: float | None
    state: str


async def ask(state: State) -> State:
    reply = await step("s").ask(state["question"])
    return {
        "said": reply.text,
        "model": reply.model,
        "confidence": reply.confidence,
        "state": reply.confidence_state,
    }


GRAPH = StateGraph(State).add_node("node", ask).add_edge(START, "node")


async def told(orchestrator, number, right, **who):
    """Run one task and say whether the reply was right."""
    result = await orchestrator.run(GRAPH, {"question": f"question {number}"}, agent="a", **who)
    assert result.status == "completed", result
    assert result.confidence_state == result.output["state"]
    await orchestrator.feedback(result.task_id, success=right(result.output["model"]))
    return result.output


async def lesson(orchestrator, count, right, **who):
    return [await told(orchestrator, number, right, **who) for number in range(count)]


def only_large(model):
    return model == "large"


async def test_without_outcomes_the_cheapest_is_asked_and_nothing_is_promised(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        for _ in range(12):
            result = await orchestrator.run(GRAPH, {"question": "why"}, agent="a")
            assert result.output["model"] == "small"
            assert result.output["state"] == "uncalibrated"
            assert result.output["confidence"] is None


async def test_a_cheap_model_that_is_wrong_stops_being_asked(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        outputs = await lesson(orchestrator, 45, only_large)
        before = len(stage.asked)
        more = await lesson(orchestrator, 5, only_large)

    assert {one["model"] for one in outputs[:30]} == {"small"}
    assert {one["model"] for one in more} == {"large"}
    assert len(stage.asked) - before == 5, "the small one is not even tried"
    assert more[-1]["state"] == "calibrated"


async def test_a_cheap_model_that_is_right_goes_on_and_its_confidence_says_so(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        outputs = await lesson(orchestrator, 40, lambda model: True)

    last = outputs[-1]
    assert (last["model"], last["state"]) == ("small", "calibrated")
    assert 0.85 < last["confidence"] <= 1


async def test_what_a_memo_remembers_is_held_against_what_was_learned_since(stage):
    memo = "steps: {s: {confidence: 0.8, memo: {fresh_for: 1h, share: team}}}"
    async with stage.orchestrator(memo) as orchestrator:
        await lesson(orchestrator, 40, lambda _: True, tenant="one")
        await lesson(orchestrator, 45, only_large, tenant="two")
        asked = len(stage.asked)
        good = await orchestrator.run(GRAPH, {"question": "question 0"}, agent="a", tenant="one")
        bad = await orchestrator.run(GRAPH, {"question": "question 0"}, agent="a", tenant="two")

    assert len(stage.asked) - asked == 1
    assert (good.output["model"], good.output["state"]) == ("small", "calibrated")
    assert good.output["confidence"] >= 0.8
    assert bad.output["model"] == "large", "the small one's is not believed any more"


async def test_what_one_tenant_learns_moves_no_other(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        await lesson(orchestrator, 45, only_large, tenant="one")
        other = await orchestrator.run(GRAPH, {"question": "q"}, agent="a", tenant="two")
        same = await orchestrator.run(GRAPH, {"question": "q"}, agent="a", tenant="one")

    assert (other.output["model"], other.output["state"]) == ("small", "uncalibrated")
    assert (same.output["model"], same.output["state"]) == ("large", "calibrated")


async def test_what_was_learned_survives_a_restart_and_a_second_process_sees_it(stage):
    async with (
        stage.orchestrator(POLICY) as first,
        stage.orchestrator(POLICY) as second,
    ):
        await lesson(first, 45, only_large)
        beside = await second.run(GRAPH, {"question": "q"}, agent="a")
    async with stage.orchestrator(POLICY) as third:
        after = await third.run(GRAPH, {"question": "q"}, agent="a")

    assert beside.output["model"] == after.output["model"] == "large"
    assert beside.output["confidence"] == after.output["confidence"]


async def test_another_model_or_check_begins_anew(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        await lesson(orchestrator, 45, only_large)
    changed = "steps: {s: {confidence: 0.8, checks: [arithmetic]}}"
    async with stage.orchestrator(changed) as orchestrator:
        result = await orchestrator.run(GRAPH, {"question": "q"}, agent="a")
    assert result.output["state"] == "uncalibrated"


async def test_a_drift_voids_the_calibration_and_asks_the_strong_one(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        good = await lesson(orchestrator, 60, lambda model: True)
        drifted = await lesson(orchestrator, 25, only_large)
    assert good[-1]["model"] == "small"
    states = [one["state"] for one in drifted]
    assert states[0] == "calibrated"
    assert "uncalibrated" in states, "the alarm was raised"
    assert drifted[-1]["model"] == "large"


async def test_a_threshold_that_nobody_reaches_is_told_once(stage):
    async with stage.orchestrator("steps: {s: {confidence: 0.95}}") as orchestrator:
        source = iter([True, False] * 100)
        await lesson(orchestrator, 110, lambda model: next(source))
    told_of = [one for one in stage.events if isinstance(one, ThresholdUnreached)]
    assert [(one.step, one.models) for one in told_of] == [("s", ("small", "large"))]


async def test_the_same_log_and_the_same_questions_give_the_same_decisions(stage, tmp_path):
    lives = []
    for name in ("one", "two"):
        stage.elsewhere = f"sqlite:///{tmp_path / name}.db"
        async with stage.orchestrator(POLICY) as orchestrator:
            outputs = await lesson(orchestrator, 50, only_large)
        lives.append([(one["model"], one["confidence"]) for one in outputs])
    assert lives[0] == lives[1]


async def test_feedback_names_what_it_cannot_use(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        result = await orchestrator.run(GRAPH, {"question": "q"}, agent="a")
        with pytest.raises(TaskNotFound):
            await orchestrator.feedback("task-none", success=True)
        with pytest.raises(ValueError, match="either success"):
            await orchestrator.feedback(result.task_id)
        with pytest.raises(ValueError, match="not between 0 and 1"):
            await orchestrator.feedback(result.task_id, score=2)
        with pytest.raises(ValueError, match="has replies of: s"):
            await orchestrator.feedback(result.task_id, success=True, step="t")
        await orchestrator.feedback(result.task_id, score=0.5, step="s")


async def test_no_body_is_kept_among_what_is_learned(stage):
    async with stage.orchestrator(POLICY) as orchestrator:
        await lesson(orchestrator, 1, only_large)
        lessons = await orchestrator._services.ledger.lessons("research")
    assert [one.kind for one in lessons] == ["observation", "outcome"]
    assert "question" not in str(lessons)
    assert "'ok'" not in str(lessons)


async def outcomes(orchestrator):
    found = await orchestrator._services.ledger.lessons("research")
    return [(one.body["source"], one.body["score"]) for one in found if one.kind == "outcome"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("accept", [("person", 1.0)]),
        ("ok", [("person", 1.0)] * 2),
        ("something else", [("person", 0.0)] * 2),
    ],
)
async def test_what_a_person_answers_is_an_outcome(stage, answer, told):
    asking = "steps: {s: {checks: [form: '^ANSWER'], below_threshold: ask}}"
    async with stage.orchestrator(asking) as orchestrator:
        halted = await orchestrator.run(GRAPH, {"question": "q"}, agent="a", task_id="t")
        assert halted.halt.reason == "question"
        assert await outcomes(orchestrator) == []
        done = await orchestrator.resume("t", answer=answer)
        assert done.status == "completed"
        assert await outcomes(orchestrator) == told
        again = await orchestrator.run(GRAPH, {"question": "q"}, agent="a", task_id="u")
        halt = await orchestrator.resume("u", answer="halt")
        assert (again.halt.reason, halt.halt.reason) == ("question", "confidence")
        assert await outcomes(orchestrator) == told, "who halts says nothing of the reply"


async def test_another_version_of_the_prompt_begins_anew(stage):
    version = ""

    async def versioned(state: State) -> State:
        reply = await step("s").ask(state["question"], prompt_version=version)
        return {"state": reply.confidence_state}

    graph = StateGraph(State).add_node("node", versioned).add_edge(START, "node")
    async with stage.orchestrator(POLICY) as orchestrator:
        for number in range(31):
            done = await orchestrator.run(graph, {"question": f"q{number}"}, agent="a")
            await orchestrator.feedback(done.task_id, success=True)
        assert done.output["state"] == "calibrated"
        version = "2"
        done = await orchestrator.run(graph, {"question": "q"}, agent="a")
        assert done.output["state"] == "uncalibrated"


async def test_a_check_that_a_good_model_never_passes_makes_its_replies_no_worse(stage):
    policy = "steps: {s: {confidence: 0.9, checks: [form: '^ANSWER']}}"

    def script(request):
        return "ANSWER: 1" if request.settings.name == "small" else "one"

    turns = iter([True, False] * 100)
    async with stage.orchestrator(policy, script=script) as orchestrator:
        outputs = await lesson(
            orchestrator, 45, lambda model: next(turns) if model == "small" else True
        )
        knowledge = await orchestrator._services.learner.knowledge("research", orchestrator)
    assert outputs[0]["model"] == "small"
    assert {one["model"] for one in outputs[-10:]} == {"large"}
    ((key, _),) = knowledge.steps.items()
    assert knowledge.pass_rate(key, "openai/large|10|").mean < 0.5
    assert knowledge.overall(key, "openai/large|10|", 0.8) > 0.65
