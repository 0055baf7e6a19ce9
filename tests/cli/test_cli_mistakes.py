"""A mistake of the user is told in a sentence that says what to change; the exit code is 2."""

import sqlite3
import sys

import pytest

from orchestrator.cli.options import DEFAULT_STORE
from orchestrator.runtime import orchestrator

RUN = ("run", "agents:graph", "--agent", "solver")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "agents:graph"), "Missing option '--agent'"),
        ((*RUN, "--nonsense"), "No such option: --nonsense"),
        ((*RUN, "--input", "{"), 'write for example \'{"question": "…"}\''),
        ((*RUN, "--tag", "a"), "write KEY=VALUE, not 'a'"),
        ((*RUN, "--budget", "x", "--timeout", "y"), "'x' is no amount in USD"),
        ((*RUN, "--budget", "x", "--timeout", "y"), "'y' is no duration"),
        ((*RUN, "--budget", "0.001"), "more than the policy's finish_reserve of $0.001"),
        ((*RUN, "--task-id", "!"), "a task id is 1 to 128 of"),
        ((*RUN, "--policy", "none.yaml"), "none.yaml: cannot be read"),
        (("run", "agents", "--agent", "a"), "named as 'module:name', not 'agents'"),
        (("run", "nowhere:graph", "--agent", "a"), "stand in the folder of nowhere.py"),
        (("run", "agents:nothing", "--agent", "a"), "no attribute 'nothing'"),
        (("run", "agents:no_graph", "--agent", "a"), "takes a StateGraph, a compiled graph or"),
        (("run", "agents:no_entry", "--agent", "a"), "entrypoint"),
        (("run", "unclosed:graph", "--agent", "a"), "SyntaxError: '(' was never closed"),
        (("run", "unclosed:graph", "--agent", "a"), "line 2"),
        (("run", "raising:graph", "--agent", "a"), "NameError: name 'undefined' is not defined"),
        (("run", "raising:graph", "--agent", "a"), "raising.py:3"),
        (("task", "show", "nobody"), "there is no ledger at .orchestrator/ledger.db"),
        (("task", "resume", "nobody"), "there is no ledger at .orchestrator/ledger.db"),
        (("task", "list"), "there is no ledger at .orchestrator/ledger.db; run an agent first"),
        (("task", "list", "--status", "lost"), "'lost' is not one of 'running', 'completed'"),
        (("report", "cost"), "there is no ledger at .orchestrator/ledger.db"),
        (("report", "cost", "--by", "planet,step,sun"), "planet, sun is no dimension; use org,"),
        (("report", "cost", "--since", "soon"), "'soon' is no moment; write 2026-11-01"),
        (("policy", "check", "none.yaml"), "none.yaml: cannot be read"),
        (("demo", "--model", "openai/x"), "both --model and --strong"),
        (("demo", "--api-base", "http://127.0.0.1:1"), "both --model and --strong"),
        (("demo", "--model", "a", "--strong", "b", "--price", "a"), "write MODEL=IN,OUT"),
    ],
)
def test_a_mistake_is_told_with_what_to_change(run, folder, upstream, arguments, words):
    (folder / "unclosed.py").write_text("\nx = (\n")
    (folder / "raising.py").write_text("\n\nundefined\n")

    done = run(*arguments)

    assert done.code == 2
    assert words in done.said
    assert done.out == ""
    assert "Traceback" not in done.err
    assert upstream.log == []
    recorded = run("task", "list")
    assert "No such tasks" in recorded.out or "there is no ledger" in recorded.err


@pytest.mark.parametrize("command", [RUN, ("task", "list"), ("report", "cost")])
@pytest.mark.parametrize(
    "store", ["postgresql://db/ledger", "nonsense", "sqlite:///", "sqlite:///garbage.db"]
)
def test_a_store_that_cannot_be_used(run, folder, monkeypatch, command, store):
    (folder / "garbage.db").write_text("this is no database, whatever its name says" * 99)
    monkeypatch.setenv("ORCHESTRATOR_STORE", store)

    done = run(*command)

    assert done.code == 2
    assert done.err.startswith("orchestrator: ")
    assert "Traceback" not in done.err


def test_a_ledger_of_a_later_version_is_not_touched(start, run, folder):
    start()
    with sqlite3.connect(folder / ".orchestrator" / "ledger.db") as ledger:
        ledger.execute("UPDATE migrations SET number = number + 9")
    ledger.close()

    assert run(*RUN).code == 2
    listed = run("task", "list")
    assert (listed.code, listed.out) == (2, "")
    assert "newer version" in listed.err


def test_a_task_id_is_used_once(start, run, upstream):
    start("agents:graph", "--task-id", "t")

    again = start("agents:graph", "--task-id", "t")

    assert again.code == 2
    assert "'t'" in again.err or " t " in again.err
    assert len(upstream.log) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "nobody"), "knows no task 'nobody'"),
        (("resume", "nobody"), "knows no task 'nobody'"),
        (("resume", "t", "--extend", "model_calls"), "write LIMIT=AMOUNT, not 'model_calls'"),
        (("resume", "t", "--extend", "model_calls=many"), "write a whole number above 0"),
        (("resume", "t", "--extend", "patience=1"), "patience"),
        (("resume", "t", "--add-budget", "-1"), "add_budget: an amount must be above"),
        (("resume", "t", "--answer", "x"), "t asks nothing; resume it without"),
        (("resume", "t", "--graph", "nowhere:graph"), "No module named 'nowhere'"),
    ],
)
def test_a_mistake_about_a_task(start, run, arguments, words):
    start("agents:graph", "--task-id", "t", "--budget", "0.00107")

    done = run("task", *arguments)

    assert done.code == 2
    assert words in done.said
    assert "Traceback" not in done.err


def test_a_graph_that_is_gone_is_told_when_its_task_is_resumed(start, run, folder):
    start("agents:graph", "--task-id", "t", "--budget", "0.00107")
    (folder / "agents.py").rename(folder / "moved.py")
    del sys.modules["agents"]

    done = run("task", "resume", "t")

    assert done.code == 2
    assert "'agents:graph'" in done.said
    assert run("task", "resume", "t", "--graph", "moved:graph", "--add-budget", "1").code == 0


def test_the_default_store_is_the_librarys():
    assert orchestrator.DEFAULT_STORE == DEFAULT_STORE
