"""``orchestrator run`` and ``orchestrator task resume``: a task on the command line."""

import json
import shlex

import pytest

# The plan's attempt fits into this; after it, the answer's does not.
ENOUGH_FOR_THE_PLAN = "0.00107"


def test_a_task_runs_and_its_output_is_shown(start):
    done = start("agents:graph", "--user", "u42", "--task-id", "t")

    assert done.code == 0
    assert "t: completed, $0.00003 in 2 attempts" in done.out
    assert '"answer": "42"' in done.out
    assert done.err == ""


def test_with_json_only_the_result_is_on_standard_output(start):
    done = start("agents:graph", "--json", "--log")

    assert done.code == 0
    assert done.json["output"] == {"question": "Why?", "plan": "Think.", "answer": "42"}
    assert done.json["cost"]["total"] == "0.000030000"
    assert [one["cost"] for one in done.json["attempts"]] == ["0.000012000", "0.000018000"]
    assert "a node prints this" in done.err
    events = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert {"solver"} == {event["agent"] for event in events}


def test_input_can_come_from_standard_input(run):
    done = run("run", "agents:graph", "--agent", "a", "--input", "-", stdin='{"question": "Why?"}')

    assert done.code == 0
    assert '"answer": "42"' in done.out


def test_a_halt_says_the_command_that_goes_on_and_that_pays_nothing_twice(start, run, upstream):
    halted = start("agents:graph", "--task-id", "t", "--budget", ENOUGH_FOR_THE_PLAN)

    assert halted.code == 3
    assert "t: halted, $0.000012 in 1 attempt" in halted.out
    assert "budget: Step 'answer' needs" in halted.out
    (command,) = [line for line in halted.out.splitlines() if "orchestrator task resume" in line]
    words = shlex.split(command.partition("orchestrator ")[2].replace("USD", "0.005"))
    assert words == ["task", "resume", "t", "--policy", "policy.yaml", "--add-budget", "0.005"]

    resumed = run(*words)

    assert resumed.code == 0
    assert "t: completed, $0.00003 in 2 attempts" in resumed.out
    assert len(upstream.log) == 2
    assert run("task", "resume", "t").out == resumed.out, "a completed task gives its result again"
    assert len(upstream.log) == 2


def test_the_command_that_goes_on_names_a_store_of_its_own(start, run):
    halted = start("agents:graph", "--budget", ENOUGH_FOR_THE_PLAN, "--store", "sqlite:///own/l.db")

    (command,) = [line for line in halted.out.splitlines() if "orchestrator task resume" in line]
    assert "--store sqlite:///own/l.db" in command
    words = shlex.split(command.partition("orchestrator ")[2].replace("USD", "0.005"))
    assert run(*words).code == 0


def test_a_halt_as_json_has_money_as_text(start):
    done = start("agents:graph", "--budget", ENOUGH_FOR_THE_PLAN, "--json")

    assert done.code == 3
    assert done.json["halt"]["limit"] == "0.001070000"
    assert done.json["partial"] == {"question": "Why?", "plan": "Think."}
    assert done.json["output"] is None


def test_a_graphs_own_question_is_answered(start, run):
    asked = start("agents:asking", "--task-id", "t")
    assert asked.code == 3
    assert "which colour?" in asked.out
    assert "task resume t --policy policy.yaml --answer TEXT" in asked.out

    done = run("task", "resume", "t", "--answer", "blue", "--json")

    assert (done.code, done.json["output"]["answer"]) == (0, "blue")


def test_a_failed_task_says_why_and_that_it_can_be_tried_again(start, run, folder, upstream):
    failed = start("agents:broken", "--task-id", "t")

    assert failed.code == 1
    assert "t: failed, $0.000012 in 1 attempt" in failed.out
    assert "RuntimeError: the tool broke" in failed.out
    assert "orchestrator task resume t --policy policy.yaml" in failed.out
    assert run("task", "resume", "t").code == 1
    assert len(upstream.log) == 1


@pytest.mark.parametrize(
    ("rule", "option"),
    [("model_calls: 1", "model_calls=NUMBER"), ("steps: 1", "steps=NUMBER")],
)
def test_a_limit_that_is_used_up_is_extended(start, run, folder, rule, option):
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("model_calls: 50", rule))
    halted = start("agents:graph", "--task-id", "t")
    assert halted.code == 3
    assert f"--extend {option}" in halted.out

    done = run("task", "resume", "t", "--extend", option.replace("NUMBER", "5"))

    assert done.code == 0


def test_labels_and_tenant_are_recorded(start, run):
    start("agents:graph", "--task-id", "t", "--tenant", "blue", "--tag", "a=1", "--tag", "b=x=y")

    shown = run("task", "show", "t", "--json").json

    assert shown["tags"] == {"a": "1", "b": "x=y"}
    assert shown["tenant"] == "blue"


def test_a_finish_reserve_that_grew_meanwhile_leaves_a_task_of_its_own_budget_resumable(
    start, run, folder
):
    start("agents:graph", "--task-id", "t", "--budget", ENOUGH_FOR_THE_PLAN)
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("finish_reserve: 0.001", "finish_reserve: 0.005"))

    assert run("task", "resume", "t").code == 3
    assert run("task", "resume", "t", "--add-budget", "0.005").code == 0
