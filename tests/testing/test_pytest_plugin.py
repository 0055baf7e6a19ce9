"""A user's own tests: what an agent costs, offline, from a recording made once."""

import json

import pytest

from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

CONFTEST = 'pytest_plugins = ["orchestrator.testing.pytest_plugin"]\n'
POLICY = """
team: research
models:
  small: {{model: openai/small-1, api_base: '{url}', max_output_tokens: 100,
          price: {{input: 1, output: 1}}}}
budgets: {{task: {{limit: 0.01 USD}}, user: {{limit: 0.01 USD, per: hour}}}}
"""
TESTS = """
import pytest
from langgraph.graph import StateGraph
from orchestrator import step
from orchestrator.testing import ScriptedModel, assert_calls, assert_cost_below


async def plan(state):
    return {"plan": (await step("plan").ask("Capital of France?")).text}


graph = StateGraph(dict).add_node(plan).set_entry_point("plan")


async def test_cost(governed, recording):
    async with governed("policy.yaml", recording("replies.jsonl")) as orchestrator:
        result = await orchestrator.run(graph, {}, agent="a")

    assert result.output == {"plan": "Paris."}
    assert_cost_below(result, "0.000061")
    assert_calls(result, 1, plan=1, answer=0)
    with pytest.raises(AssertionError, match="plan, small"):
        assert_cost_below(result, "0.00006")
    with pytest.raises(AssertionError, match="plan: 1, not 2; in all: 1, not 3"):
        assert_calls(result, 3, plan=2)


def test_without_a_loop_and_on_a_fake_clock(governed, fake_clock):
    client = ScriptedModel({"small": "Paris."})
    with governed("policy.yaml", client, clock=fake_clock) as orchestrator:
        before = orchestrator.run_sync(graph, {}, agent="a", user="u")
        fake_clock.advance(hours=2)
        after = orchestrator.run_sync(graph, {}, agent="a", user="u")

    assert before.status == after.status == "completed"


async def test_what_was_not_recorded_says_how(governed, recording):
    async def other(state):
        return {"plan": (await step("plan").ask("Capital of Spain?")).text}

    asking = StateGraph(dict).add_node(other).set_entry_point("other")
    async with governed("policy.yaml", recording("replies.jsonl")) as orchestrator:
        result = await orchestrator.run(asking, {}, agent="a")

    assert result.status == "failed"
    assert "no recorded question of openai/small-1" in result.error
    assert "pytest --record-models" in result.error
    assert_calls(result, 1)
    assert_cost_below(result, "0.000000001")
"""
REPLY = RecordedReply(
    model="small-1",
    prompt="Capital of France?",
    response="Paris.",
    input_tokens=40,
    output_tokens=20,
)


@pytest.fixture
def upstream():
    with Upstream([REPLY]).serve_in_thread() as serving:
        yield serving


@pytest.fixture
def project(pytester: pytest.Pytester, upstream):
    """A user's project, in which nothing is recorded yet."""
    pytester.makeconftest(CONFTEST)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    pytester.makepyfile(test_agent=TESTS)
    (pytester.path / "policy.yaml").write_text(POLICY.format(url=upstream.url))
    return pytester


def test_record_once_and_replay_free(project: pytest.Pytester, upstream):
    bare = project.runpytest_subprocess("-k", "cost")
    asked = len(upstream.log)
    recorded = project.runpytest_subprocess("-k", "cost", "--record-models")
    replayed = project.runpytest_subprocess()

    assert asked == 0
    bare.stdout.fnmatch_lines(["*RecordingError: *replies.jsonl*"])
    recorded.assert_outcomes(passed=1, deselected=2)
    replayed.assert_outcomes(passed=3)
    assert len(upstream.log) == 1
    lines = (project.path / "replies.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["response"] == "Paris."
    assert len(lines) == 1


def test_recording_anew_replaces_what_was_recorded(project: pytest.Pytester):
    for _ in range(2):
        project.runpytest_subprocess("-k", "cost", "--record-models").assert_outcomes(
            passed=1, deselected=2
        )

    assert len((project.path / "replies.jsonl").read_text().splitlines()) == 1
