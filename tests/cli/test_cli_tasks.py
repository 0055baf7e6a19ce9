"""``orchestrator task list`` and ``show``: what the ledger knows of tasks."""

import pytest

from orchestrator.testing.upstream.faults import Fault


@pytest.fixture
def three_tasks(start):
    start("agents:graph", "--task-id", "done", "--user", "u42")
    start("agents:graph", "--task-id", "out-of-money", "--budget", "0.00107")
    start("agents:broken", "--task-id", "broken")


@pytest.mark.usefixtures("three_tasks")
def test_the_newest_tasks_come_first_with_status_and_cost(run):
    listed = run("task", "list")

    rows = [line.split() for line in listed.out.splitlines()]
    tasks = {row[0]: " ".join(row[1:]) for row in rows if row}
    names = [name for name in tasks if name in {"done", "out-of-money", "broken"}]
    assert listed.code == 0
    assert names == ["broken", "out-of-money", "done"]
    assert "completed" in tasks["done"]
    assert "solver for u42" in tasks["done"]
    assert "team research" in listed.out
    assert tasks["done"].endswith("$0.00003")
    assert "halted: budget" in tasks["out-of-money"]
    assert tasks["broken"].startswith("failed")


@pytest.mark.usefixtures("three_tasks")
def test_tasks_can_be_chosen(run):
    def names(*arguments: str) -> list[str]:
        return [one["task_id"] for one in run("task", "list", "--json", *arguments).json]

    assert names("--status", "halted") == ["out-of-money"]
    assert names("--limit", "2") == ["broken", "out-of-money"]
    assert names("--team", "research", "--agent", "solver", "--status", "completed") == ["done"]
    assert names("--agent", "nobody") == []
    assert "No such tasks" in run("task", "list", "--agent", "nobody").out


@pytest.mark.usefixtures("three_tasks")
def test_a_list_as_json_has_money_as_text_with_all_digits(run):
    costs = {one["task_id"]: one["cost_usd"] for one in run("task", "list", "--json").json}

    assert costs == {"done": "0.000030000", "out-of-money": "0.000012000", "broken": "0.000012000"}


@pytest.mark.usefixtures("three_tasks")
def test_one_task_is_shown_with_its_model_calls(run):
    shown = run("task", "show", "done").out

    assert "research/solver for u42" in shown
    assert "$0.00003 in 2 attempts" in shown
    for cell in ("plan", "answer", "small", "40", "20", "$0.000012", "$0.000018", "known"):
        assert cell in shown.split(), cell
    halted = " ".join(run("task", "show", "out-of-money").out.split())
    assert "halted: budget" in halted
    assert "Step 'answer' needs" in halted
    assert "RuntimeError: the tool broke" in run("task", "show", "broken").out


@pytest.mark.usefixtures("three_tasks")
def test_one_task_as_json(run):
    shown = run("task", "show", "done", "--json").json

    assert shown["cost_usd"] == "0.000030000"
    assert [one["cost"] for one in shown["attempts"]] == ["0.000012000", "0.000018000"]
    assert [one["step"] for one in shown["attempts"]] == ["plan", "answer"]
    assert {one["end"] for one in shown["attempts"]} == {"settled"}
    assert shown["user"] == "u42"
    assert shown["started_at"].endswith("+00:00")


def test_a_failed_call_is_shown_with_its_error(start, run, upstream):
    upstream.add_faults(Fault(kind="server_error", times=1))
    start("agents:graph", "--task-id", "t")

    shown = run("task", "show", "t").out

    assert "retry" in shown
    assert "error" in shown
    assert "$0.00003 in 3 attempts" in shown


@pytest.mark.usefixtures("three_tasks")
@pytest.mark.parametrize("columns", ["30", "80", "200"])
@pytest.mark.parametrize(
    ("command", "amounts"),
    [
        (("task", "list"), {"$0.00003", "$0.000012"}),
        (("task", "show", "done"), {"$0.000012", "$0.000018"}),
        (("report", "cost"), {"$0.000036", "$0.000018", "$0.000054"}),
    ],
)
def test_no_amount_is_shortened_however_narrow_the_terminal(
    run, monkeypatch, columns, command, amounts
):
    monkeypatch.setenv("COLUMNS", columns)

    shown = run(*command).out

    assert "…" not in shown
    assert amounts <= set(shown.split())
