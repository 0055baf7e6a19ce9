from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.policy import app
from orchestrator.policy.schema import policy_schema

GOOD = """\
models: {small: {model: openai/foo, price: {input: 0.10, output: 0.40}}}
steps:
  answer: {checks: [form: '[bold]x[/bold]']}
agents: {scout: {limits: {steps: 5}}}
"""
BAD = "models: {}\nlimits: {timeout: 10}\n"


@pytest.fixture
def run(monkeypatch):
    """Run the command in a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def test_check_of_a_good_policy(run, write):
    path = write(GOOD)
    result = run("check", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{path}: no mistakes (agents with overrides: scout)\n"


def test_check_of_a_bad_policy_prints_every_mistake_and_exits_with_2(run, write):
    path = write(BAD)
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (2, "")
    heading, *lines = result.stderr.splitlines()
    assert heading == "2 mistakes in the policy"
    assert [line.partition(": ")[0].strip() for line in lines] == [f"{path}:1", f"{path}:2"]


def test_check_as_json(run, write):
    path = write(GOOD)
    good = json.loads(run("check", path, "--json").stdout)
    assert good["ok"] is True
    assert len(good["digest"]) == 64
    result = run("check", write(BAD, "bad.yaml"), "--json")
    bad = json.loads(result.stdout)
    assert (result.exit_code, bad["ok"]) == (2, False)
    assert [(p["line"], p["key"]) for p in bad["problems"]] == [
        (1, "models"),
        (2, "limits.timeout"),
    ]
    assert set(bad["problems"][0]) == {"file", "line", "key", "message"}


def test_check_of_a_file_that_is_not_there(run, tmp_path):
    result = run("check", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "cannot be read (no such file or directory)" in result.stderr


def test_explain_shows_each_value_and_where_it_was_written(run, write):
    path = write(GOOD)
    result = run("explain", path)
    assert result.exit_code == 0
    rows = {cells[0]: cells[1:] for line in result.stdout.splitlines() if (cells := line.split())}
    assert rows["models.small.price.input"] == ["0.10", f"{path}:1"]
    assert rows["limits.attempt_timeout"] == ["2m", "default"]
    assert "[bold]x[/bold]" in result.stdout


def test_explain_for_one_agent_as_json(run, write):
    path = write(GOOD)
    explained = json.loads(run("explain", path, "--agent", "scout", "--json").stdout)
    assert explained["agent"] == "scout"
    assert {"key": "limits.steps", "value": "5", "file": str(path), "line": 4} in explained[
        "values"
    ]
    other = json.loads(run("explain", path, "--agent", "other", "--json").stdout)
    assert "limits.steps" not in {value["key"] for value in other["values"]}
    assert "other (no overrides)" in run("explain", path, "--agent", "other").stdout


def test_schema_prints_the_schema(run):
    assert json.loads(run("schema").stdout) == policy_schema()
